"""Identification among strangers: FNIR at FPIR, the threshold set for each gallery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.recognition import rates
from visagist.recognition.evaluation.figures import (
    Indices,
    Scores,
    Trials,
    interval,
    rounded,
    short,
)

FPIRS = (1e-1, 1e-2, 3e-3)
_SLACK = 1e-9
_DET_POINTS = 100


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
    def _ranked(self) -> tuple[Scores, Indices, NDArray[np.bool_]]:
        """Strangers of each split, best first: score, probe, and whether there is one."""
        order = np.argsort(-self.stranger, axis=1, kind="stable")
        # enrolled people hold minus infinity; failed searches do so too, and must stay before them
        order = np.take_along_axis(
            order,
            np.argsort(np.take_along_axis(self.enrolled, order, 1), axis=1, kind="stable"),
            1,
        )[:, : int((~self.enrolled).sum(1).max())]
        return (
            np.take_along_axis(self.stranger, order, 1),
            order,
            ~np.take_along_axis(self.enrolled, order, 1),
        )

    @cached_property
    def _mated(self) -> Scores:
        return self.enrolled.astype(np.float64)

    @cached_property
    def _together(self) -> tuple[Scores, Indices]:
        """Strangers of all splits, best first: score and probe."""
        splits, probes = np.nonzero(~self.enrolled)
        scores = self.stranger[splits, probes]
        order = np.argsort(-scores, kind="stable")
        return scores[order], probes[order]

    def _counted(self, weights: Scores | None) -> Scores:
        """(n,) how often each probe counts."""
        return np.ones(len(self.probes)) if weights is None else weights[self.probes]

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
        counted = self._counted(weights)
        scores, probes, there = self._ranked
        above = np.cumsum(counted[probes] * there, axis=1)
        searches = self._mated @ counted
        usable = (searches > 0) & (above[:, -1] > 0)
        if not usable.any():
            return math.nan
        first_too_many = np.argmax(above > fpir * above[:, -1:] + _SLACK, axis=1)
        threshold = scores[np.arange(len(scores)), first_too_many]
        missed = (self._mated * (self.mate <= threshold[:, None])) @ counted
        return float((missed[usable] / searches[usable]).mean())

    def pooled(self, fpir: float, weights: Scores | None = None) -> float:
        """FNIR at one threshold for all splits, set on the strangers of all of them together."""
        counted = self._counted(weights)
        scores, probes = self._together
        strangers, mated = counted[probes], counted * self._mated.sum(0)
        if not strangers.any() or not mated.any():
            return math.nan
        threshold = rates.far_threshold(scores, fpir, strangers)
        return 1 - rates.tar(self.mate, threshold, mated)

    def interpolated(self, fpir: float) -> float:
        """Mean FNIR over the splits at the interpolated quantile of each gallery's strangers.

        Kinder than :meth:`fnir` in small galleries, since the interpolated threshold lies below
        the best stranger; only for comparison with figures that were counted so.
        """
        values = []
        for best, enrolled in zip(self.stranger, self.enrolled, strict=True):
            if enrolled.all() or not enrolled.any():
                continue
            strangers = best[~enrolled]
            # a search that failed returns nobody; any score below all others says the same
            floor = strangers[np.isfinite(strangers)].min(initial=0.0) - 1
            threshold = np.quantile(np.maximum(strangers, floor), 1 - fpir)
            values.append(float((self.mate[enrolled] <= threshold).mean()))
        return float(np.mean(values)) if values else math.nan

    def report(self, *, resamples: int) -> dict[str, Any]:
        """FNIR at each FPIR, per gallery and pooled, with intervals."""
        searches = int((~self.enrolled).sum(1).min())
        report: dict[str, Any] = {"splits": len(self.enrolled), "strangers_a_gallery": searches}
        for fpir in FPIRS:
            single, together = partial(self.fnir, fpir), partial(self.pooled, fpir)
            report[f"fnir_fpir_{short(fpir)}"] = {
                "value": rounded(single()),
                "interval": interval(single, self.people, resamples),
                "interpolated": rounded(self.interpolated(fpir)),
                "pooled": rounded(together()),
                "pooled_interval": interval(together, self.people, resamples),
                "shown_by_one_gallery": rates.measurable(fpir, searches),
            }
        return report


def fixed_list(
    trials: Trials,
    strangers: Scores,
    people: Sequence[str],
    *,
    resamples: int,
    among_enrolled: Scores | None = None,
) -> dict[str, Any]:
    """FNIR at each FPIR with everybody enrolled, listed strangers, and each person left out once.

    The search of a person who is taken out of the gallery is a true non-mated search too.

    Args:
        trials: the mated searches.
        strangers: (k, m) similarity of strangers' pictures and enrolled pictures.
        people: (k,) who the strangers are.
        resamples: for the intervals.
        among_enrolled: (m, m) similarity of enrolled pictures, for their searches with their own
            person left out; without it only the probes make such searches.
    """
    mate, left_out = trials.searches
    names, numbers = np.unique(np.asarray(people, str), return_inverse=True)
    best, whose = [left_out], [trials.probes]
    if len(strangers):
        best.append(strangers.max(1))
        whose.append(numbers + trials.people)
    if among_enrolled is not None:
        best.append(rates.search(among_enrolled, trials.enrolled, trials.enrolled)[1])
        whose.append(trials.enrolled)
    non_mated, who = np.concatenate(best), np.concatenate(whose)
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
                "value": rounded(value),
                "interval": interval(
                    resampled, trials.people + len(names), resamples, trials.people
                ),
                "threshold": rounded(threshold),
            }
        report[f"fnir_fpir_{short(fpir)}"] = entry
    report["det"] = det_points(mate, non_mated)
    return report


def det_points(genuine: Scores, impostor: Scores) -> list[list[float | None]]:
    """Threshold, FPIR and FNIR along the curve: at most a hundred points."""
    thresholds, false, missed = rates.det_curve(genuine, impostor)
    usable = np.nonzero(np.isfinite(thresholds))[0]
    # evenly in the logarithm of the false alarms, where operating points lie
    chosen = usable[:: max(1, -(-len(usable) // _DET_POINTS))] if len(usable) else usable
    tail = usable[-min(len(usable), 10) :]
    points = np.unique(np.concatenate([chosen, tail]).astype(int))
    return [[rounded(v[i]) for v in (thresholds, false, missed)] for i in points]
