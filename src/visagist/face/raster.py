"""Smooth shapes and blurs on small float images, in numpy alone.

Coverage is exact along x and sampled along y, so that a shape and its mirror image give mirrored
masks to the last bit of rounding, which polygon fillers on an integer grid do not.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

_ROWS = 8  # scan lines per pixel row


def catmull_rom(points: NDArray[np.floating], steps: int = 6, *, closed: bool = True) -> Floats:
    """A smooth curve through points (uniform Catmull-Rom spline).

    Args:
        points: (N, 2), N >= 3, in order.
        steps: samples for each span between two points.
        closed: whether the last point joins the first.

    Returns:
        (N * steps, 2) float32 when closed, else ((N - 1) * steps + 1, 2).
    """
    p = np.asarray(points, np.float32)
    n = len(p)
    weights = _basis(steps)
    if closed:
        order = np.arange(-1, n + 2) % n
        padded, spans = p[order], n
    else:
        # The end points are mirrored, so that the curve leaves them straight.
        padded = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        spans = n - 1
    curve: Floats = np.empty((spans, steps, 2), np.float32)
    curve[:] = weights[0][:, None] * padded[:spans, None]
    for k in range(1, 4):
        curve += weights[k][:, None] * padded[k : k + spans, None]
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


@lru_cache(maxsize=16)
def _basis(steps: int) -> Floats:
    """(4, steps) weights of the four control points along a span."""
    t = np.arange(steps) / steps
    rows = (
        -t + 2 * t**2 - t**3,
        2 - 5 * t**2 + 3 * t**3,
        t + 4 * t**2 - 3 * t**3,
        t**3 - t**2,
    )
    basis: Floats = (0.5 * np.array(rows)).astype(np.float32)
    return basis


def fill(polygon: NDArray[np.floating], height: int, width: int, *, feather: float = 0.0) -> Floats:
    """Antialiased coverage of a closed polygon.

    Args:
        polygon: (N, 2) corners in pixels, pixel centres at .5; may leave the image and may overlap
            itself (what is inside any loop is covered).
        height: rows of the result.
        width: columns of the result.
        feather: standard deviation in pixels of a Gaussian that softens the edge.

    Returns:
        (height, width) float32, 0..1.
    """
    p = np.asarray(polygon, np.float64)
    out = np.zeros((height, width), np.float32)
    margin = int(np.ceil(3 * feather)) + 1
    low = np.floor(p.min(0)).astype(int) - margin
    high = np.ceil(p.max(0)).astype(int) + margin
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), width), min(int(high[1]), height)
    if x1 <= x0 or y1 <= y0:
        return out
    part = _scan(p - (x0, y0), y1 - y0, x1 - x0)
    out[y0:y1, x0:x1] = blur(part, feather)
    return out


def _scan(p: NDArray[np.float64], height: int, width: int) -> Floats:
    """Coverage (height, width) of a polygon, line by line."""
    q = np.roll(p, -1, 0)
    # Scan line k runs at (k + 0.5) / _ROWS; an edge crosses those between its two ends.
    k0 = np.clip(np.ceil(p[:, 1] * _ROWS - 0.5), 0, height * _ROWS).astype(np.int64)
    k1 = np.clip(np.ceil(q[:, 1] * _ROWS - 0.5), 0, height * _ROWS).astype(np.int64)
    count = np.abs(k1 - k0)
    total = int(count.sum())
    edge = np.repeat(np.arange(len(p)), count)
    k = np.arange(total) - np.repeat(np.cumsum(count) - count, count) + np.minimum(k0, k1)[edge]
    slope = (q[:, 0] - p[:, 0]) / np.where(count > 0, q[:, 1] - p[:, 1], 1.0)
    x = p[edge, 0] + ((k + 0.5) / _ROWS - p[edge, 1]) * slope[edge]
    sign = np.where(k1 > k0, 1.0 / _ROWS, -1.0 / _ROWS)[edge]
    x = np.clip(x, 0.0, width)
    column = x.astype(np.int64)
    share = sign * (x - column)
    # Each crossing switches the rest of its line on or off; its own pixel only in part.
    flat = (k // _ROWS) * (width + 2) + column
    size = height * (width + 2)
    lines = np.bincount(flat, sign - share, size) + np.bincount(flat + 1, share, size)
    lines = np.abs(np.cumsum(lines.reshape(height, width + 2), axis=1))[:, :width]
    result: Floats = np.minimum(lines, 1.0).astype(np.float32)
    result[result < 1e-5] = 0.0
    return result


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur, cut at three standard deviations; the border is repeated.

    Wide blurs are done on a reduced image, where they look the same and cost a fraction.

    Args:
        image: (H, W) or (H, W, C) float32.
        sigma: standard deviation in pixels; below 0.05 the image comes back as it is.

    Returns:
        float32, same shape.
    """
    if sigma < 0.05:
        return image
    height, width = image.shape[:2]
    sigma = min(sigma, float(max(height, width)))  # wider is flat already
    factor = int(sigma / 1.25)
    if factor > 1 and min(height, width) > 4 * factor:
        small = shrink(image, factor)
        # Reducing and enlarging with triangle filters blur, too: each has a variance of 1/6.
        left = float(np.sqrt(max((sigma / factor) ** 2 - 1 / 3, 0.05)))
        return grow(blur(small, left), (height, width))
    # In steps of 5 %, which nobody sees, so that kernels are found in the cache.
    step = round(20 * float(np.log(sigma)))
    taps = _taps(step)
    radius = len(taps) - 1
    for axis in (0, 1):
        n = image.shape[axis]
        wide = np.swapaxes(image, axis, 0)
        wide = wide[np.clip(np.arange(-radius, n + radius), 0, n - 1)]
        # The two sides are added before anything else, so that mirrored images blur alike.
        total = wide[radius : radius + n] * taps[0]
        for k in range(1, radius + 1):
            total += (wide[radius - k : radius - k + n] + wide[radius + k : radius + k + n]) * taps[
                k
            ]
        image = np.swapaxes(total, 0, axis)
    return np.ascontiguousarray(image)


@lru_cache(maxsize=256)
def _taps(step: int) -> Floats:
    """(radius + 1,) one half of a Gaussian of deviation exp(step / 20), from the middle out."""
    sigma = float(np.exp(step / 20))
    taps = np.exp(-0.5 * (np.arange(max(1, int(np.ceil(3 * sigma))) + 1) / sigma) ** 2)
    half: Floats = (taps / (2 * taps.sum() - taps[0])).astype(np.float32)
    return half


def shrink(image: Floats, factor: int) -> Floats:
    """Antialiased reduction of (H, W[, C]) to about (H, W) / factor."""
    height, width = image.shape[:2]
    size = (max(1, -(-width // factor)), max(1, -(-height // factor)))
    return _resized(image, size, Image.Resampling.BILINEAR)


def pooled(image: NDArray[np.uint8] | Floats, times: int) -> Floats:
    """(H, W[, C]) to (H / times, W / times[, C]), each pixel the mean of a square.

    Args:
        image: of sides that ``times`` divides.
        times: side of the square.
    """
    if times == 1:
        return np.asarray(image, np.float32)
    total = np.zeros(
        (image.shape[0] // times, image.shape[1] // times, *image.shape[2:]), np.float32
    )
    for row in range(times):
        for column in range(times):
            total += image[row::times, column::times]
    return total * np.float32(1 / times**2)


def grow(image: Floats, shape: tuple[int, int]) -> Floats:
    """Smooth enlargement of (h, w[, C]) to (height, width[, C])."""
    return _resized(image, shape[::-1], Image.Resampling.BILINEAR)


def _resized(image: Floats, size: tuple[int, int], how: Image.Resampling) -> Floats:
    if image.ndim == 2:
        return np.array(Image.fromarray(np.ascontiguousarray(image)).resize(size, how))
    planes = [_resized(image[..., k], size, how) for k in range(image.shape[2])]
    return np.stack(planes, axis=2)


def smoothstep(low: float, high: float, value: NDArray[np.float32]) -> Floats:
    """0 below ``low``, 1 above ``high``, smooth between; ``low`` may exceed ``high``."""
    t = np.clip((value - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    result: Floats = t * t * (np.float32(3.0) - np.float32(2.0) * t)
    return result


def ramp(low: float, high: float, value: float) -> float:
    """:func:`smoothstep` of one number."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def vector(*values: float) -> Floats:
    """(n,) float32."""
    return np.array(values, np.float32)
