"""Where each pixel of a picture lies in an edited copy: affine map and smooth residual flow.

Makeup changes colours, and draws new edges on lids, brows and lips, which must not be taken for
motion. So pictures are compared by features that colour and light do not touch (luma without its
local mean and contrast), those regions hardly count, and where little counts the map follows its
surroundings. Coordinates are those of OpenCV: pixel centres on whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_LOCAL = 4.0  # standard deviation in pixels of the window for local mean, contrast and correlation
_NOISE = 4.0  # levels of local contrast below which there is no structure but noise
_STRUCTURE = 0.05  # smaller eigenvalue of the features' structure tensor that counts half
_ROBUST = 0.5  # pixels of deviation from the affine map that count half
_ROUNDS = (2, 1, 0)  # finest scale of the flow each time that the map is fitted and warped again
_SMOOTH = 9.0  # standard deviation in pixels of the residual flow's smoothing
_PRIOR = 0.02  # weight of no residual flow at all
_MOST = 6.0  # pixels that the residual flow may reach
_LEAST = 0.15  # pixels, root mean square, below which the residual flow is noise and left out


@dataclass(frozen=True, slots=True)
class Match:
    """How an edited picture lies over the first one.

    Attributes:
        places: (H, W, 2) float32, where each pixel of the first lies in the edited one: x, y.
        affine: (2, 3) float64, the affine part of it.
        residual: (H, W, 2) float32 pixels, what is not affine.
        error: median length in pixels of the motion that is still found between both.
        likeness: 0..1, how well structure agrees after the map, by its amount.
        agreement: (H, W) -1..1, local correlation of structure.
    """

    places: Floats
    affine: NDArray[np.float64]
    residual: Floats
    error: float
    likeness: float
    agreement: Floats


def match(first: Bytes, edited: Bytes, weight: Floats, inside: Floats) -> Match:
    """Find where the pixels of a picture lie in an edited copy.

    Args:
        first: (H, W, 3) uint8.
        edited: the same shape, roughly aligned: within a tenth of the picture.
        weight: (H, W) 0..1, how far each pixel of ``first`` tells about motion.
        inside: (H, W) 0..1, which pixels of ``edited`` show anything.
    """
    one, other = features(first), features(edited)
    weight = weight * _structure(one)
    affine = np.eye(2, 3)
    for finest in _ROUNDS:
        grid = places_of(affine, one.shape)
        warped = sample(other, grid)
        counts = weight * sample(inside, grid)
        flow, trust = _flow(one, warped, counts, finest=finest, checked=False)
        affine = _composed(affine, _fit(flow, trust))
    grid = places_of(affine, one.shape)
    warped = sample(other, grid)
    flow, trust = _flow(one, warped, weight * sample(inside, grid))
    residual = _smooth(flow, trust)
    if np.sqrt((trust * (residual**2).sum(-1)).sum() / max(trust.sum(), 1e-6)) < _LEAST:
        residual = np.zeros_like(residual)
    places = _moved(affine, residual)
    warped = sample(other, places)
    counts = weight * sample(inside, places)
    left, trust = _flow(one, warped, counts, checked=False)
    agreement = correlation(one, warped)
    total = max(float(counts.sum()), 1e-6)
    return Match(
        places=places,
        affine=affine,
        residual=residual,
        error=_weighted_median(np.hypot(left[..., 0], left[..., 1]), trust),
        likeness=float((counts * np.maximum(agreement, 0)).sum()) / total,
        agreement=agreement,
    )


def features(picture: Bytes) -> Floats:
    """(H, W) luma of an (H, W, 3) picture without its local mean, over its local contrast."""
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)
    luma = _blurred(luma, 0.7)  # the grid of JPEG is no structure
    flat = luma - _blurred(luma, _LOCAL)
    power = cv2.GaussianBlur(flat * flat, (0, 0), _LOCAL)
    return np.asarray(flat / np.sqrt(power + _NOISE**2), np.float32)


def correlation(one: Floats, other: Floats) -> Floats:
    """(H, W) -1..1 local correlation of two pictures of features, 0 where both are flat."""
    product, a, b = (
        cv2.GaussianBlur(part, (0, 0), _LOCAL) for part in (one * other, one * one, other * other)
    )
    return np.asarray(product / np.sqrt(a * b + 1e-2), np.float32)


def _blurred(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def sample(picture: Bytes | Floats, places: Floats, *, cubic: bool = False) -> Floats:
    """The values of a picture at (H, W, 2) places; 0 beyond it for masks, its edge for pictures."""
    border = cv2.BORDER_CONSTANT if picture.ndim == 2 else cv2.BORDER_REPLICATE
    how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    x, y = (np.ascontiguousarray(places[..., k]) for k in (0, 1))
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=border), np.float32)


def places_of(affine: NDArray[np.float64], shape: tuple[int, ...]) -> Floats:
    """(H, W, 2) where an affine map takes each pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return _apply(affine, np.stack([x, y], -1))


def _moved(affine: NDArray[np.float64], residual: Floats) -> Floats:
    y, x = np.mgrid[: residual.shape[0], : residual.shape[1]].astype(np.float32)
    return _apply(affine, np.stack([x, y], -1) + residual)


def _apply(affine: NDArray[np.float64], points: Floats) -> Floats:
    return np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float32)


def _structure(feature: Floats) -> Floats:
    """0..1, how far a place shows corners, whose motion is seen in both directions."""
    gx = cv2.Scharr(feature, cv2.CV_32F, 1, 0, scale=1 / 32)
    gy = cv2.Scharr(feature, cv2.CV_32F, 0, 1, scale=1 / 32)
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), _LOCAL) for p in (gx * gx, gy * gy, gx * gy))
    smaller = (xx + yy) / 2 - np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    smaller = np.maximum(smaller, 0)
    return np.asarray(smaller / (smaller + _STRUCTURE), np.float32)


def _flow(
    one: Floats, other: Floats, weight: Floats, *, finest: int = 0, checked: bool = True
) -> tuple[Floats, Floats]:
    """Dense flow from one picture of features to the other and how far to trust it.

    Dense inverse search (Kroeger et al. 2016), trusted where structure correlates and, if
    ``checked``, where the flow back agrees within half a pixel.
    """
    a, b = (np.clip(128 + 40 * part, 0, 255).astype(np.uint8) for part in (one, other))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    # the start of the search, which OpenCV overwrites with its result
    forth = np.asarray(search.calc(a, b, np.zeros((*one.shape, 2), np.float32)), np.float32)
    there = places_of(np.eye(2, 3), one.shape) + forth
    trust = weight * np.clip(correlation(one, sample(other, there)), 0, 1) ** 2
    if checked:
        back = np.asarray(search.calc(b, a, np.zeros((*one.shape, 2), np.float32)), np.float32)
        gap = forth + np.stack([sample(back[..., k], there) for k in (0, 1)], -1)
        trust *= np.exp(-(gap**2).sum(-1) / (2 * 0.5**2))
    return forth, np.asarray(trust, np.float32)


def _fit(flow: Floats, trust: Floats) -> NDArray[np.float64]:
    """(2, 3) affine map x -> x + flow, fitted with Cauchy weights to the trusted pixels."""
    step = slice(1, None, 3)
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]]
    points = np.stack([x[step, step].ravel(), y[step, step].ravel()], 1).astype(np.float64)
    target = points + flow[step, step].reshape(-1, 2)
    weight = trust[step, step].ravel().astype(np.float64)
    middle = points.mean(0)
    basis = np.column_stack([points - middle, np.ones(len(points))])
    # Half a pixel on every tenth point in favour of no motion: a picture without structure stays.
    ridge = 1e-3 * len(points) * np.diag([*points.var(0), 1.0])
    solution = np.vstack([np.eye(2), middle])
    still, robust = solution.copy(), np.ones(len(points))
    for _ in range(6):
        w = weight * robust
        left = basis.T @ (w[:, None] * basis) + 1e-3 * ridge
        right = basis.T @ (w[:, None] * target) + 1e-3 * ridge @ still
        solution = np.linalg.solve(left, right)
        off = np.hypot(*(target - basis @ solution).T)
        robust = 1 / (1 + (off / _ROBUST) ** 2)
    linear = solution[:2].T
    return np.column_stack([linear, solution[2] - linear @ middle])


def _composed(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine map ``outer(inner(x))``."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack([linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _smooth(flow: Floats, trust: Floats) -> Floats:
    """Trusted flow spread over its surroundings (normalised convolution), 0 far from any."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    weight = trust * (length < _MOST)
    total = cv2.GaussianBlur(weight, (0, 0), _SMOOTH) + _PRIOR
    spread = cv2.GaussianBlur(flow * weight[..., None], (0, 0), _SMOOTH)
    return np.asarray(spread / total[..., None], np.float32)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, axis=None)
    total = np.cumsum(weights.ravel()[order])
    if total[-1] <= 0:
        return float("nan")
    return float(values.ravel()[order][np.searchsorted(total, total[-1] / 2)])
