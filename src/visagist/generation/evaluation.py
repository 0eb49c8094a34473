"""Distances between sets of pictures, as functions of feature matrices; the embedder is handed in.

A Frechet distance in features other than those of Inception is not FID and is never called so.
Every figure should be shown with its floor (real against real) and with a ruined set beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError

Features = NDArray[np.floating]
Numbers = NDArray[np.float64]
_ROWS = 1024
"""Rows of a distance matrix that are held at once."""


def _checked(features: Features, *, least: int = 2) -> Numbers:
    matrix = np.asarray(features, np.float64)
    if matrix.ndim != 2 or len(matrix) < least:
        raise DataError(
            f"features must be a matrix of at least {least} rows, not of shape {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        raise DataError("features are not finite; the embedder failed on some picture")
    return matrix


def _pair(real: Features, made: Features, *, least: int = 2) -> tuple[Numbers, Numbers]:
    a, b = _checked(real, least=least), _checked(made, least=least)
    if a.shape[1] != b.shape[1]:
        raise DataError(f"features of {a.shape[1]} and of {b.shape[1]} numbers cannot be compared")
    return a, b


def frechet_distance(real: Features, made: Features) -> float:
    """Squared Frechet distance between normal distributions fitted to two sets of features.

    FD = |m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Heusel et al. 2017). The trace of the root is
    the sum of the singular values of A B^T where S1 = A^T A and S2 = B^T B, which needs no root of
    a matrix and stays exact when there are fewer samples than features.

    Args:
        real: (N, D), N at least 2.
        made: (M, D).

    Raises:
        DataError: too few rows, other widths, or numbers that are not finite.
    """
    a, b = _pair(real, made)
    shift = a.mean(0) - b.mean(0)
    a = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    b = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    root = np.linalg.svd(_factor(a) @ _factor(b).T, compute_uv=False).sum()
    return float(shift @ shift + (a * a).sum() + (b * b).sum() - 2 * root)


def _factor(centred: Numbers) -> Numbers:
    """A matrix F with F^T F = X^T X of at most as many rows as X has columns."""
    if len(centred) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"), np.float64)


def extrapolated_frechet_distance(
    real: Features, made: Features, *, points: int = 8, repeats: int = 4, seed: int = 0
) -> float:
    """Frechet distance for infinitely many made samples (Chong and Forsyth 2020).

    The bias falls as 1/N, so FD is fitted as a line in 1/N over subsets of ``made`` and read at 0.
    The bias from the number of real samples stays, as it does in every published figure.

    Args:
        real: (N, D).
        made: (M, D), M at least 16.
        points: sizes between M/4 and M.
        repeats: subsets of each size.
        seed: of the subsets.
    """
    a, b = _pair(real, made, least=16)
    rng = np.random.default_rng(seed)
    sizes = np.linspace(len(b) / 4, len(b), points).astype(int)
    inverse, values = [], []
    for size in sizes:
        for _ in range(1 if size == len(b) else repeats):
            inverse.append(1 / size)
            values.append(frechet_distance(a, b[rng.choice(len(b), size, replace=False)]))
    _, at_zero = np.polyfit(inverse, values, 1)
    return float(at_zero)


def kernel_distance(real: Features, made: Features) -> float:
    """KID: unbiased squared maximum mean discrepancy of the kernel (a.b / D + 1)^3.

    Binkowski et al. 2018, equation 4. It may be slightly below 0 for equal distributions.
    """
    a, b = _pair(real, made)
    return float(_within(a) + _within(b) - 2 * _mean_kernel(a, b))


def _mean_kernel(a: Numbers, b: Numbers) -> float:
    total = sum(float(_kernel(part, b).sum()) for part in _parts(a))
    return total / (len(a) * len(b))


def _within(a: Numbers) -> float:
    n = len(a)
    diagonal = float((((a * a).sum(1) / a.shape[1] + 1) ** 3).sum())
    return (_mean_kernel(a, a) * n * n - diagonal) / (n * (n - 1))


def _kernel(a: Numbers, b: Numbers) -> Numbers:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3, np.float64)


def _parts(a: Numbers) -> Iterator[Numbers]:
    for first in range(0, len(a), _ROWS):
        yield a[first : first + _ROWS]


def squared_distances(a: Numbers, b: Numbers) -> Numbers:
    """(n, m) squared Euclidean distances, not below 0."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0), np.float64)


@dataclass(frozen=True, slots=True)
class Manifolds:
    """How two sets cover each other.

    Attributes:
        precision: share of made samples inside the real manifold (Kynkaanniemi et al. 2019).
        recall: share of real samples inside the made manifold.
        density: mean number of real balls that a made sample lies in, over k (Naeem et al. 2020).
        coverage: share of real samples whose ball holds a made sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(real: Features, made: Features, *, k: int = 3) -> Manifolds:
    """Precision, recall, density and coverage from balls to the k-th nearest neighbour.

    Args:
        real: (N, D), N above k.
        made: (M, D), M above k.
        k: neighbour that sets the radius; 3 for precision and recall in their paper, 5 is usual for
            density and coverage.
    """
    a, b = _pair(real, made, least=k + 1)
    radius_a, radius_b = _radii(a, k), _radii(b, k)
    inside_real = np.zeros(len(b), np.int64)
    nearest = np.full(len(a), np.inf)
    covered = np.zeros(len(a), bool)
    for first in range(0, len(b), _ROWS):
        part = slice(first, first + _ROWS)
        distance = squared_distances(b[part], a)
        inside_real[part] = (distance <= radius_a[None]).sum(1)
        covered |= (distance <= radius_b[part, None]).any(0)
        nearest = np.minimum(nearest, distance.min(0))
    return Manifolds(
        precision=float((inside_real > 0).mean()),
        recall=float(covered.mean()),
        density=float(inside_real.mean() / k),
        coverage=float((nearest <= radius_a).mean()),
    )


def _radii(a: Numbers, k: int) -> Numbers:
    """Squared distance to the k-th nearest other row."""
    radii = np.empty(len(a))
    for first in range(0, len(a), _ROWS):
        part = slice(first, first + _ROWS)
        distance = squared_distances(a[part], a)
        distance[np.arange(len(distance)), np.arange(first, first + len(distance))] = np.inf
        radii[part] = np.partition(distance, k - 1, axis=1)[:, k - 1]
    return radii


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest training picture of each sample.

    Attributes:
        index: (M,) number of the training picture.
        distance: (M,) Euclidean distance of the features.
        usual: (N,) distance of each held-out picture to its nearest training picture: what chance
            gives where nothing was learned by heart.
        share: of the samples that are closer to a training picture than 99 % of the held-out ones
            are; about 0.01 without memorisation.
    """

    index: NDArray[np.int64]
    distance: Numbers
    usual: Numbers
    share: float


def nearest_training(made: Features, training: Features, held_out: Features) -> Nearest:
    """Which training pictures the samples are closest to, against held-out pictures.

    Args:
        made: (M, D) samples.
        training: (T, D) what the generator has seen, with the mirrored copies it has seen.
        held_out: (N, D) pictures of other people that it has not seen.
    """
    a, t = _pair(made, training, least=1)
    h, _ = _pair(held_out, training, least=1)
    index, distance = _nearest(a, t)
    _, usual = _nearest(h, t)
    share = float((distance < np.quantile(usual, 0.01)).mean())
    return Nearest(index, distance, usual, share)


def _nearest(a: Numbers, b: Numbers) -> tuple[NDArray[np.int64], Numbers]:
    index = np.empty(len(a), np.int64)
    distance = np.empty(len(a))
    for first in range(0, len(a), _ROWS):
        part = slice(first, first + _ROWS)
        squares = squared_distances(a[part], b)
        index[part] = squares.argmin(1)
        distance[part] = np.sqrt(squares.min(1))
    return index, distance


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap interval.

    Attributes:
        value: on all samples.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def bootstrap(
    measure: Callable[[Features, Features], float],
    real: Features,
    made: Features,
    *,
    repeats: int = 100,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a measure over resampled rows of both sets ("basic" bootstrap).

    Repeated rows narrow a resampled set, which raises distances, above all small ones: the usual
    percentiles would lie above the value. The basic bootstrap, 2 value - quantile, mirrors them.
    Its interval is one for the value freed of that bias, and lies below the value where the bias is
    large against the spread, as between two halves of one set.

    Args:
        measure: of (real, made).
        real: (N, D).
        made: (M, D).
        repeats: resamples.
        level: of confidence.
        seed: of the resampling.

    Raises:
        DataError: the features are no matrices.
    """
    a, b = _pair(real, made)
    rng = np.random.default_rng(seed)
    value = measure(a, b)
    found = [
        measure(a[rng.integers(len(a), size=len(a))], b[rng.integers(len(b), size=len(b))])
        for _ in range(repeats)
    ]
    tail = (1 - level) / 2
    high, low = (2 * value - np.quantile(found, q) for q in (tail, 1 - tail))
    return Interval(value, float(low), float(high))


def high_frequencies(pictures: NDArray[np.uint8]) -> float:
    """Mean share of a picture's spectral energy, without its mean, above half the Nyquist rate.

    Blurred sets have less than real ones, noisy sets more.

    Args:
        pictures: (N, S, S, 3).
    """
    luma = pictures.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    luma = luma - luma.mean((1, 2), keepdims=True)
    energy = np.abs(np.fft.fft2(luma)) ** 2
    rate = np.abs(np.fft.fftfreq(luma.shape[1]))
    high = np.maximum(rate[:, None], rate[None, :]) > 0.25
    total = energy.sum((1, 2))
    # a flat picture has no spectrum; it counts as having no detail
    return float(np.mean(energy[:, high].sum(1) / np.where(total > 0, total, 1)))
