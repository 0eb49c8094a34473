"""From score tables to the figures of a report, each with its interval over resampled people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.recognition import rates

Scores = NDArray[np.float64]
Indices = NDArray[np.int64]

FARS = (1e-2, 1e-3)
FPIRS = (1e-1, 1e-2, 3e-3)
_FOLDS = 10
_SLACK = 1e-9
_DET_POINTS = 100


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
    report["rank1"] = _counted(right, len(mate))
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
        "value": _rounded(rates.tar(genuine, threshold)),
        "interval": _interval(resampled, trials.people, resamples),
        "threshold": _rounded(threshold),
    }


def accuracy(trials: Trials) -> dict[str, float] | None:
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
    return {"mean": _rounded(result.mean), "std": _rounded(result.std)}


@dataclass(frozen=True)
class HalfSplits:
    """Galleries of half the people, the other half searching as strangers.

    Attributes:
        mate: (n,) score of the right person.
        stranger: (splits, n) best score in the gallery, minus infinity for enrolled people.
        enrolled: (splits, n) whether the probe's person is enrolled.
        probes: (n,) number of the probe's person.
        people: how many people there are.
    """

    mate: Scores
    stranger: Scores
    enrolled: NDArray[np.bool_]
    probes: Indices
    people: int

    @classmethod
    def of(cls, trials: Trials, halves: NDArray[np.bool_]) -> HalfSplits:
        """Half-splits of trials.

        Args:
            trials: the searches.
            halves: (splits, people) whether a person is enrolled.
        """
        best = [
            np.where(half[trials.enrolled], trials.scores, -np.inf).max(1, initial=-np.inf)
            for half in halves
        ]
        enrolled = halves[:, trials.probes]
        stranger = np.where(enrolled, -np.inf, np.array(best))
        return cls(trials.searches[0], stranger, enrolled, trials.probes, trials.people)

    @cached_property
    def _order(self) -> Indices:
        return np.argsort(-self.stranger, axis=1, kind="stable")

    @cached_property
    def _ranked(self) -> Scores:
        return np.take_along_axis(self.stranger, self._order, 1)

    def fnir(self, fpir: float, weights: Scores | None = None) -> float:
        """Mean FNIR over the splits, each at the threshold its own gallery needs for ``fpir``.

        :func:`~visagist.recognition.rates.fnir_at_fpir` for every split at once.

        Args:
            fpir: wanted share of strangers' searches that return anybody.
            weights: (people,) how often each person's searches count. The galleries keep all their
                people: without those not drawn they would be a third smaller, and too kind.

        Returns:
            NaN when no split has both mated searches and strangers.
        """
        person = np.ones(self.people) if weights is None else weights
        counted = np.broadcast_to(person[self.probes], self.stranger.shape)
        strangers = np.where(self.enrolled, 0.0, counted)
        above = np.cumsum(np.take_along_axis(strangers, self._order, 1), axis=1)
        allowed = fpir * above[:, -1:] + _SLACK
        first_too_many = np.argmax(above > allowed, axis=1)  # none: weights of zero, left out below
        threshold = self._ranked[np.arange(len(above)), first_too_many]
        mated = np.where(self.enrolled, counted, 0.0)
        missed = (mated * (self.mate <= threshold[:, None])).sum(1)
        searches = mated.sum(1)
        usable = (searches > 0) & (above[:, -1] > 0)
        return float((missed[usable] / searches[usable]).mean()) if usable.any() else math.nan

    def pooled(self, fpir: float, weights: Scores | None = None) -> float:
        """FNIR at one threshold for all splits, set on the strangers of all of them together."""
        person = np.ones(self.people) if weights is None else weights
        counted = np.broadcast_to(person[self.probes], self.stranger.shape)
        scores, order = self._flat
        strangers = np.where(self.enrolled, 0.0, counted).ravel()[order]
        mated = np.where(self.enrolled, counted, 0.0)
        if not strangers.any() or not mated.any():
            return math.nan
        threshold = rates.far_threshold(scores, fpir, strangers)
        return float((mated * (self.mate <= threshold)).sum() / mated.sum())

    def interpolated(self, fpir: float) -> float:
        """Mean FNIR over the splits at the interpolated quantile of each gallery's strangers.

        Kinder than :meth:`fnir` in small galleries, since the interpolated threshold lies below
        the best stranger; only for comparison with figures that were counted so.
        """
        values = []
        for best, enrolled in zip(self.stranger, self.enrolled, strict=True):
            if enrolled.all() or not enrolled.any():
                continue
            threshold = np.quantile(best[~enrolled], 1 - fpir)
            values.append(float((self.mate[enrolled] <= threshold).mean()))
        return float(np.mean(values)) if values else math.nan

    @cached_property
    def _flat(self) -> tuple[Scores, Indices]:
        order = np.argsort(-self.stranger.ravel(), kind="stable")
        return self.stranger.ravel()[order], order

    def report(self, *, resamples: int) -> dict[str, Any]:
        """FNIR at each FPIR, per gallery and pooled, with intervals."""
        searches = int((~self.enrolled).sum(1).min())
        report: dict[str, Any] = {"splits": len(self.enrolled), "strangers_a_gallery": searches}
        for fpir in FPIRS:
            single, together = partial(self.fnir, fpir), partial(self.pooled, fpir)
            report[f"fnir_fpir_{short(fpir)}"] = {
                "value": _rounded(single()),
                "interval": _interval(single, self.people, resamples),
                "interpolated": _rounded(self.interpolated(fpir)),
                "pooled": _rounded(together()),
                "pooled_interval": _interval(together, self.people, resamples),
                "shown_by_one_gallery": rates.measurable(fpir, searches),
            }
        return report


def fixed_list(
    trials: Trials, strangers: Scores, people: Sequence[str], *, resamples: int
) -> dict[str, Any]:
    """FNIR at each FPIR with everybody enrolled, listed strangers, and each person left out once.

    The search of a person who is taken out of the gallery is a true non-mated search too.

    Args:
        trials: the mated searches.
        strangers: (k, m) similarity of strangers' pictures and enrolled pictures.
        people: (k,) who the strangers are.
        resamples: for the intervals.
    """
    mate, left_out = trials.searches
    names, numbers = np.unique(np.asarray(people, str), return_inverse=True)
    best = strangers.max(1) if len(strangers) else np.empty(0)
    non_mated = np.concatenate([best, left_out])
    who = np.concatenate([numbers + trials.people, trials.probes])
    order = np.argsort(-non_mated, kind="stable")
    non_mated, who = non_mated[order], who[order]
    report: dict[str, Any] = {
        "enrolled": trials.people,
        "mated_searches": len(mate),
        "strangers": len(names),
        "non_mated_searches": len(non_mated),
    }
    for fpir in FPIRS:
        entry: dict[str, Any] = {"value": None, "interval": None, "threshold": None}
        if rates.measurable(fpir, len(non_mated)):
            value, threshold = rates.fnir_at_fpir(mate, non_mated, fpir)

            def resampled(weights: Scores, fpir: float = fpir) -> float:
                mated, others = weights[trials.probes], weights[who]
                if not mated.any() or not others.any():
                    return math.nan
                return rates.fnir_at_fpir(
                    mate, non_mated, fpir, mated_weights=mated, non_mated_weights=others
                )[0]

            entry = {
                "value": _rounded(value),
                "interval": _interval(resampled, trials.people + len(names), resamples),
                "threshold": _rounded(threshold),
            }
        report[f"fnir_fpir_{short(fpir)}"] = entry
    report["det"] = det_points(mate, non_mated)
    return report


def det_points(genuine: Scores, impostor: Scores) -> list[list[float]]:
    """Threshold, FPIR and FNIR along the curve: at most a hundred points."""
    thresholds, false, missed = rates.det_curve(genuine, impostor)
    usable = np.nonzero(np.isfinite(thresholds))[0]
    # evenly in the logarithm of the false alarms, where operating points lie
    chosen = usable[:: max(1, -(-len(usable) // _DET_POINTS))] if len(usable) else usable
    tail = usable[-min(len(usable), 10) :]
    points = np.unique(np.concatenate([chosen, tail]).astype(int))
    return [[_rounded(v[i]) for v in (thresholds, false, missed)] for i in points]


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
            "fnmr": _counted(int((genuine <= threshold).sum()), len(genuine)),
            "fmr": _counted(int((impostor > threshold).sum()), len(impostor))
            if len(impostor)
            else None,
        }
    return report


def short(rate: float) -> str:
    """A rate as it stands in names of fields: 1e-3."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _counted(k: int, n: int) -> dict[str, Any]:
    return {
        "value": _rounded(k / n),
        "interval": [_rounded(v) for v in rates.binomial_interval(k, n)],
        "count": k,
        "of": n,
    }


def _interval(
    statistic: Callable[[Scores], float], people: int, resamples: int
) -> list[float] | None:
    """Bootstrap interval of a share; Clopper-Pearson's for so many people at 0 and 1.

    Resampling people without an error never makes one, so that it would claim certainty.
    """
    if resamples == 0:
        return None
    value = statistic(np.ones(people))
    if value in {0.0, 1.0}:
        low, high = rates.binomial_interval(round(value) * people, people)
    else:
        low, high = rates.bootstrap(statistic, people, resamples=resamples)
    return [_rounded(low), _rounded(high)]


def _rounded(value: float) -> float:
    return round(float(value), 5)
