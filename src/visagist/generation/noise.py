"""Noise levels, their schedules, weights and conditions; numbers and NumPy arrays, no torch.

A noised picture is x + sigma * eps (variance exploding, EPG section 2). Levels without further
words are those of a 64-pixel picture ("base" levels); a picture of side H has them times H/64.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0
"""Ends and curvature of the grid of Karras et al. 2022, equation 5."""
SIGMA_DATA = 0.5
"""Standard deviation that pictures in [-1, 1] have, roughly."""
GUIDED = (0.19, 1.61)
"""Base levels above the first and up to the second are guided (EPG, section 5)."""


def shift(side: int) -> float:
    """Factor on every level of a picture of ``side`` pixels."""
    return side / 64


def karras_levels(count: int) -> Numbers:
    """(count,) base levels, the highest first: (a + i/(n-1) (b - a))^7 of the seventh roots.

    Raises:
        ValueError: fewer than two levels.
    """
    if count < 2:
        raise ValueError(f"a grid needs at least two levels, not {count}")
    levels = level_at(np.linspace(0, 1, count))
    levels[0], levels[-1] = SIGMA_MAX, SIGMA_MIN  # exactly, whatever the powers round to
    return levels


def level_at(place: Numbers) -> Numbers:
    """Base levels at places of the grid: 0 is the highest, 1 the lowest."""
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return np.asarray((high + place * (low - high)) ** RHO, np.float64)


def nearest_levels(sigma: Numbers, levels: Numbers) -> NDArray[np.int64]:
    """Index of the level nearest to each sigma; ``levels`` fall."""
    middles = (levels[:-1] + levels[1:]) / 2
    return (len(levels) - 1 - np.searchsorted(middles[::-1], sigma)).astype(np.int64)


def input_scale(sigma: Numbers | float) -> Numbers:
    """c_in = 1 / sqrt(sigma^2 + 0.25), which gives noised pictures unit variance."""
    return np.asarray(1 / np.sqrt(np.square(sigma) + SIGMA_DATA**2), np.float64)


def sinusoid(sigma: Numbers, width: int) -> NDArray[np.float32]:
    """(B, width) condition of shifted levels: cosines, then sines of 250 ln sigma at falling rates.

    The longest period is 2 pi 10 000, as in transformers' positions.
    """
    rates = np.exp(-math.log(10_000) * np.arange(width // 2) / (width // 2))
    angles = 250 * np.log(np.asarray(sigma, np.float64).reshape(-1, 1)) * rates
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def interval_weight(sigma: Numbers, levels: int = 1280) -> Numbers:
    """1 / (sigma_i - sigma_(i+1)) in closed form: 125.27 sigma^(-6/7) for 1280 levels.

    On the grid, d sigma / di = rho (a - b) sigma^(1 - 1/rho) / (n - 1), where a and b are
    the roots of the ends. Base levels.
    """
    roots = SIGMA_MAX ** (1 / RHO) - SIGMA_MIN ** (1 / RHO)
    scale = (levels - 1) / (RHO * roots)
    return np.asarray(scale * np.asarray(sigma, np.float64) ** (1 / RHO - 1), np.float64)


def velocity_weight(sigma: Numbers, cap: float) -> Numbers:
    """min(((1 + sigma) / sigma)^2, cap): the squared error of the flow's velocity. Base levels.

    With z = t x + (1 - t) e and sigma = (1 - t) / t, v = (x - z) / (1 - t) has the error of x times
    1 / (1 - t) = (1 + sigma) / sigma (the loss of JiT).
    """
    sigma = np.asarray(sigma, np.float64)
    return np.minimum(((1 + sigma) / sigma) ** 2, cap)


def level_count(step: int, steps: int, first: int = 20, last: int = 1280) -> int:
    """Levels of stage 1 at a step: intervals double from ``first`` to ``last``, plus one.

    N(k) = min(first 2^ceil(k/K'), last) + 1 with K' = :func:`doubling`.
    """
    doublings = math.ceil(step / doubling(steps, first, last))
    return min(first << min(doublings, 62), last) + 1


def doubling(steps: int, first: int = 20, last: int = 1280) -> int:
    """K' = ceil(K / log2(ceil(last / first) + 1)): steps between two doublings."""
    return max(1, math.ceil(steps / math.log2(math.ceil(last / first) + 1)))


def temperature(
    kind: Literal["fixed", "linear", "cosine"],
    *,
    first: float,
    last: float,
    sigma: float,
    step: int,
    steps: int,
) -> float:
    """Temperature of the loss along a trajectory (EPG, section 3).

    Args:
        kind: ``fixed``: ``last``. ``linear``: from ``last`` at no noise to ``first`` at the highest
            level. ``cosine``: from ``first`` at the first step to ``last`` at two thirds of them,
            as (first) + (first - last) cos(pi/2 (1 + 3k / 2K)).
        first: temperature at the beginning, or at the highest level.
        last: temperature at the end, or without noise.
        sigma: base level.
        step: k.
        steps: K.
    """
    if kind == "fixed":
        return last
    if kind == "linear":
        return last + (first - last) * sigma / SIGMA_MAX
    if 3 * step >= 2 * steps:
        return last
    return first + (first - last) * math.cos(math.pi / 2 * (1 + 1.5 * step / steps))


def consistency_target(level: Numbers, stage: int) -> Numbers:
    """The lower of the two levels that consistency compares (ECT; EPG, section 6). Base levels.

    r = max(0.002, t (1 - 2^(-stage) (1 + 8 sigmoid(-t)))).
    """
    t = np.asarray(level, np.float64)
    ratio = 1 - 2.0**-stage * (1 + 8 / (1 + np.exp(np.minimum(t, 700.0))))
    return np.maximum(SIGMA_MIN, t * ratio)


def skip_scale(level: Numbers | float, least: float) -> Numbers:
    """c_skip = 0.25 / ((t - m)^2 + 0.25); 1 at the lowest level m."""
    return np.asarray(SIGMA_DATA**2 / (np.square(np.subtract(level, least)) + SIGMA_DATA**2))


def output_scale(level: Numbers | float, least: float) -> Numbers:
    """c_out = 0.5 (t - m) / sqrt(t^2 + 0.25); 0 at the lowest level m."""
    t = np.asarray(level, np.float64)
    return np.asarray(SIGMA_DATA * (t - least) / np.sqrt(t**2 + SIGMA_DATA**2))
