"""The tail of impostor scores beyond the data: an estimate, never a promise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.errors import CalibrationError

Scores = NDArray[np.float64]

_FEWEST = 30
"""Exceedances below which no shape can be told."""
_UPPER = 0.975


class Tail(BaseModel):
    """Generalised Pareto distribution of the impostor scores above a level.

    P(score >= t) = share * (1 + shape * (t - level) / scale)^(-1 / shape) for t above the level
    (source: Pickands 1975; Coles 2001, section 4.2). Each list holds the fit to all people first,
    then those to resampled people, from which the interval comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: float
    share: tuple[float, ...] = Field(min_length=1)
    scale: tuple[float, ...] = Field(min_length=1)
    shape: tuple[float, ...] = Field(min_length=1)

    def threshold(self, rate: float) -> float:
        """The least score at which the upper bound of :meth:`interval` keeps the rate.

        The best fit alone is off by a factor of ten as often as not, in either direction.

        Raises:
            CalibrationError: the rate is not in the tail, or no score keeps it.
        """
        if not 0 < rate <= self.share[0]:
            raise CalibrationError(
                f"the tail of the calibration begins at a rate of {self.share[0]:.3g}; {rate:.3g} "
                "is not in it"
            )
        scores = [self._score(i, rate) for i in range(1, len(self.share))] or [self._score(0, rate)]
        score = float(np.quantile(scores, _UPPER, method="higher"))
        if score > 1:
            raise CalibrationError(
                f"not even an estimate finds a score that keeps a rate of {rate:.3g}: the people "
                "of the calibration differ too much; calibrate with more"
            )
        return score

    def interval(self, threshold: float) -> tuple[float, float]:
        """95 % interval of the rate at a threshold over resampled people.

        It tells how much the people at hand matter, not whether the tail has this form.
        """
        rates = [self._rate(i, threshold) for i in range(1, len(self.share))] or [0.0, 1.0]
        low, high = np.quantile(rates, [1 - _UPPER, _UPPER])
        return float(low), float(high)

    def _score(self, fit: int, rate: float) -> float:
        share, scale, shape = self.share[fit], self.scale[fit], self.shape[fit]
        if abs(shape) < 1e-9:
            return self.level - scale * float(np.log(rate / share))
        return self.level + scale / shape * float((rate / share) ** -shape - 1)

    def _rate(self, fit: int, threshold: float) -> float:
        share, scale, shape = self.share[fit], self.scale[fit], self.shape[fit]
        excess = max(threshold - self.level, 0.0) / scale
        if abs(shape) < 1e-9:
            return share * float(np.exp(-excess))
        return share * float(max(1 + shape * excess, 0.0) ** (-1 / shape))


def fit_tail(excess: Scores, weights: Scores) -> tuple[float, float] | None:
    """Scale and shape of the generalised Pareto distribution by probability-weighted moments.

    source: Hosking & Wallis 1987, which is steadier than maximum likelihood for some dozens of
    exceedances and bounded tails, as those of cosines are.

    Args:
        excess: (n,) by how much scores lie above the level, all above 0.
        weights: (n,) how often each counts.

    Returns:
        None when there are too few exceedances, or all are equal.
    """
    if (weights > 0).sum() < _FEWEST:
        return None
    order = np.argsort(excess)
    x, w = excess[order], weights[order]
    total = w.sum()
    # share of the sample above each point, counting half of the point itself
    above = 1 - (np.cumsum(w) - w / 2) / total
    mean = float((w * x).sum() / total)
    first = float((w * x * above).sum() / total)
    if mean - 2 * first < 1e-12:  # x does not vary
        return None
    k = mean / (mean - 2 * first) - 2
    scale = 2 * mean * first / (mean - 2 * first)
    return scale, -k
