"""From score tables to the figures of a report, each with its interval over resampled people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.recognition import rates

Scores = NDArray[np.float64]
Indices = NDArray[np.int64]

FARS = (1e-2, 1e-3)
_FOLDS = 10


@dataclass(frozen=True)
class Trials:
    """Mated searches against enrolled pictures, one or more of each person.

    Attributes:
        scores: (n, m) similarity of probe and enrolled picture.
        probes: (n,) number of the probe's person; all of them are enrolled.
        enrolled: (m,) number of the enrolled person, 0 to ``people`` - 1.
        people: how many people there are.
    """

    scores: Scores
    probes: Indices
    enrolled: Indices
    people: int

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """(n, m) whether probe and enrolled picture show one person."""
        return np.asarray(self.probes[:, None] == self.enrolled[None], bool)

    @cached_property
    def genuine(self) -> tuple[Scores, Indices]:
        """Scores of one person's pairs, and that person."""
        rows = np.nonzero(self.same)[0]
        return self.scores[self.same], self.probes[rows]

    @cached_property
    def impostor(self) -> tuple[Scores, Indices, Indices]:
        """Scores of two people's pairs, largest first, and the two."""
        rows, columns = np.nonzero(~self.same)
        scores = self.scores[rows, columns]
        order = np.argsort(-scores, kind="stable")
        return scores[order], self.probes[rows[order]], self.enrolled[columns[order]]

    @cached_property
    def searches(self) -> tuple[Scores, Scores]:
        """Score of the right person and best score of anybody else, for every probe."""
        mate, other, _ = rates.search(self.scores, self.probes, self.enrolled)
        return mate, other

    def of(self, people: NDArray[np.bool_]) -> Trials:
        """The trials among some of the people, renumbered."""
        number = np.cumsum(people) - 1
        rows, columns = people[self.probes], people[self.enrolled]
        return Trials(
            self.scores[np.ix_(rows, columns)],
            number[self.probes[rows]],
            number[self.enrolled[columns]],
            int(people.sum()),
        )


def verification(trials: Trials, *, resamples: int) -> dict[str, Any]:
    """TAR at each FAR with its threshold and interval, rank-1, and ten-fold accuracy.

    ``tar`` is ``None`` where there are fewer than three impostor pairs for each error that may
    happen.
    """
    report: dict[str, Any] = {
        "people": trials.people,
        "genuine": len(trials.genuine[0]),
        "impostor": len(trials.impostor[0]),
    }
    for far in FARS:
        report[f"tar_far_{short(far)}"] = _tar(trials, far, resamples)
    mate, nearest = trials.searches
    right = int((mate > nearest).sum())
    report["rank1"] = counted(right, len(mate))
    report["accuracy"] = accuracy(trials)
    return report


def _tar(trials: Trials, far: float, resamples: int) -> dict[str, Any]:
    genuine, who = trials.genuine
    impostor, one, other = trials.impostor
    if not rates.measurable(far, len(impostor)):
        return {"value": None, "interval": None, "threshold": None}

    def resampled(weights: Scores) -> float:
        pairs = weights[one] * weights[other]
        if not pairs.any():
            return math.nan
        return rates.tar(genuine, rates.far_threshold(impostor, far, pairs), weights[who])

    threshold = rates.far_threshold(impostor, far)
    return {
        "value": rounded(rates.tar(genuine, threshold)),
        "interval": interval(resampled, trials.people, resamples),
        "threshold": rounded(threshold),
    }


def accuracy(trials: Trials) -> dict[str, float | None] | None:
    """Ten-fold verification accuracy, folds of different people, as many impostor as genuine pairs.

    A person's impostor pair is with the next one of the fold. ``None`` for fewer than two people in
    a fold.
    """
    if trials.people < 2 * _FOLDS:
        return None
    first = {int(p): i for i, p in reversed(list(enumerate(trials.enrolled)))}
    scores, same, folds = [], [], []
    for row, person in enumerate(trials.probes):
        fold = int(person) % _FOLDS
        mates = np.arange(fold, trials.people, _FOLDS)
        following = int(mates[(int(np.searchsorted(mates, person)) + 1) % len(mates)])
        for partner in (int(person), following):
            scores.append(trials.scores[row, first[partner]])
            same.append(partner == person)
            folds.append(fold)
    # a failure to enrol has no finite score; below all others it counts as a rejection
    values = np.asarray(scores)
    floor = values[np.isfinite(values)].min(initial=0.0) - 1
    result = rates.verification_accuracy(np.where(np.isfinite(values), values, floor), same, folds)
    return {"mean": rounded(result.mean), "std": rounded(result.std)}


def by_group(
    trials: Trials, groups: dict[str, NDArray[np.bool_]], threshold: float
) -> dict[str, Any]:
    """False non-matches and, inside each group, false matches at one common threshold.

    The intervals are Clopper-Pearson's. Impostor pairs share people, so that those of the false
    matches are somewhat too narrow; resampling people would say nothing where none was seen.

    Args:
        trials: all the searches.
        groups: name -> (people,) who belongs to it.
        threshold: the common one.
    """
    report = {}
    for name, people in groups.items():
        part = trials.of(people)
        genuine, impostor = part.genuine[0], part.impostor[0]
        if not len(genuine):
            continue
        report[name] = {
            "people": part.people,
            "fnmr": counted(int((genuine <= threshold).sum()), len(genuine)),
            "fmr": counted(int((impostor > threshold).sum()), len(impostor))
            if len(impostor)
            else None,
        }
    return report


def short(rate: float) -> str:
    """A rate as it stands in names of fields: 1e-3."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def counted(k: int, n: int) -> dict[str, Any]:
    """A share of independent trials with its Clopper-Pearson interval."""
    return {
        "value": rounded(k / n),
        "interval": [rounded(v) for v in rates.binomial_interval(k, n)],
        "count": k,
        "of": n,
    }


def interval(
    statistic: Callable[[Scores], float],
    people: int,
    resamples: int,
    trials: int | None = None,
) -> list[float | None] | None:
    """Bootstrap interval of a share; Clopper-Pearson's at 0 and 1.

    Resampling people without an error never makes one, so that it would claim certainty.

    Args:
        statistic: from (people,) weights to the share.
        people: how many people are resampled.
        resamples: how often; 0 gives ``None``.
        trials: how many independent trials the share is of, for Clopper-Pearson; as many as people
            when ``None``.
    """
    if resamples == 0:
        return None
    value = statistic(np.ones(people))
    if not math.isfinite(value):
        return None
    if value in {0.0, 1.0}:
        n = trials or people
        low, high = rates.binomial_interval(round(value) * n, n)
    else:
        low, high = rates.bootstrap(statistic, people, resamples=resamples)
    return [rounded(low), rounded(high)]


def rounded(value: float) -> float | None:
    """To five decimals, as reports hold figures; ``None`` for what is no finite number."""
    return round(float(value), 5) if math.isfinite(value) else None
