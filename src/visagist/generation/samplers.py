"""From noise to pictures: samplers of the probability flow, for arrays of NumPy or torch alike.

Sources: Karras et al. 2022, algorithm 1 (Heun); Lu et al. 2022, DPM-Solver++ 2M, in its data
prediction; Kynkaanniemi et al. 2024 (guidance in an interval); Song et al. 2023, algorithm 1
(consistency). Levels are those of the picture's size, that is, base levels times side / 64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from visagist.generation.noise import GUIDED, SIGMA_MIN, karras_levels, shift


class Array(Protocol):
    """What samplers need of an array."""

    def __add__(self, other: Self, /) -> Self:
        """Sum."""

    def __sub__(self, other: Self, /) -> Self:
        """Difference."""

    def __mul__(self, other: float, /) -> Self:
        """Multiple."""

    def clip(self, low: float, high: float, /) -> Self:
        """Each number, at least ``low`` and at most ``high``."""


A = TypeVar("A", bound=Array)
Denoise = Callable[[A, float], A]
"""(noised pictures, level) -> estimate of the clean ones."""


def sampling_levels(count: int, side: int) -> list[float]:
    """``count`` levels for pictures of ``side`` pixels, the highest first; the last is not 0."""
    return [float(level) for level in karras_levels(count) * shift(side)]


def clamped(denoise: Denoise[A], limit: float = 1.0) -> Denoise[A]:
    """Estimates kept in the range that pictures have."""
    return lambda x, sigma: denoise(x, sigma).clip(-limit, limit)


def guided(
    conditional: Denoise[A],
    unconditional: Denoise[A],
    *,
    scale: float,
    side: int,
    interval: tuple[float, float] = GUIDED,
) -> Denoise[A]:
    """D_u + scale (D_c - D_u) for base levels in (low, high], D_c for the others."""
    low, high = (bound * shift(side) for bound in interval)

    def denoise(x: A, sigma: float) -> A:
        with_class = conditional(x, sigma)
        if scale == 1 or not low < sigma <= high:
            return with_class
        without = unconditional(x, sigma)
        return without + (with_class - without) * scale

    return denoise


def heun(denoise: Denoise[A], noise: A, levels: Sequence[float]) -> A:
    """Second-order steps from level to level: 2 (n - 1) evaluations for n levels.

    Args:
        denoise: estimate of the clean picture.
        noise: standard normal; the walk starts at ``noise * levels[0]``.
        levels: falling; the result is the point of the flow at the last, which is not denoised.
            A last level of 0 is reached by an Euler step.
    """
    x = noise * levels[0]
    for now, then in pairwise(levels):
        slope = (x - denoise(x, now)) * (1 / now)
        guess = x + slope * (then - now)
        if then > 0:
            slope = (slope + (guess - denoise(guess, then)) * (1 / then)) * 0.5
            guess = x + slope * (then - now)
        x = guess
    return x


def multistep(denoise: Denoise[A], noise: A, levels: Sequence[float], *, last: bool = True) -> A:
    """DPM-Solver++ 2M: second order at one evaluation a step, for few steps.

    In lambda = -ln sigma the flow of x / sigma is driven by the estimate D alone:
    x' = (s'/s) x + (1 - s'/s) D, with D extrapolated half a step ahead from the last two estimates.

    Args:
        denoise: estimate of the clean picture.
        noise: standard normal.
        levels: falling, none of them 0.
        last: return the estimate at the last level, which costs one evaluation more, instead of
            the point of the flow there.
    """
    x = noise * levels[0]
    before: A | None = None
    step_before = 0.0
    for now, then in pairwise(levels):
        estimate = denoise(x, now)
        step = math.log(now / then)
        ahead = estimate
        if before is not None:
            ahead = estimate + (estimate - before) * (step / (2 * step_before))
        x = x * (then / now) + ahead * (1 - then / now)
        before, step_before = estimate, step
    return denoise(x, levels[-1]) if last else x


def consistency(
    function: Denoise[A], noises: Sequence[A], levels: Sequence[float], *, side: int
) -> A:
    """One step a level: jump to the clean picture, noise it to the next level, jump again.

    Args:
        function: f(x, t), which gives the picture itself at the lowest level.
        noises: standard normal, one for each level.
        levels: falling; one level is one-step sampling.
        side: of the pictures, for the lowest level m: a level t is reached by noise of
            sqrt(t^2 - m^2).
    """
    least = SIGMA_MIN * shift(side)
    x = function(noises[0] * levels[0], levels[0])
    for noise, level in zip(noises[1:], levels[1:], strict=True):
        x = function(x + noise * math.sqrt(max(level**2 - least**2, 0.0)), level)
    return x


def consistency_levels(steps: int, side: int) -> list[float]:
    """Levels for sampling in ``steps`` jumps: evenly in the seventh roots, without the lowest.

    Base levels are 80 for one step, 80 and 2.52 for two.
    """
    return sampling_levels(steps + 1, side)[:-1]


def picture_noise(
    seed: int, first: int, count: int, side: int, part: int = 0
) -> NDArray[np.float32]:
    """(count, 3, side, side) float32 standard normal noise of pictures ``first`` and following.

    Picture i of a seed is the same whatever the number of pictures made with it. Philox is a
    counter, and its normals are the same on every machine.

    Args:
        seed: of the whole set, at least 0.
        first: number of the first picture.
        count: pictures.
        side: of a picture in pixels.
        part: 0 for the noise of the start, further numbers for that of later steps.
    """
    return np.stack(
        [
            np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number, part])))
            .standard_normal((3, side, side))
            .astype(np.float32)
            for number in range(first, first + count)
        ]
    )
