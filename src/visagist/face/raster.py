"""Smooth shapes and blurs on small float images, in numpy alone.

Coverage is exact along x and sampled along y, so that a shape and its mirror image give mirrored
masks to the last bit of rounding, which polygon fillers on an integer grid do not.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ROWS = 6  # scan lines per pixel row


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
    if closed:
        before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
        start = p
    else:
        # The end points are mirrored, so that the curve leaves them straight.
        full = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        before, start, after, beyond = full[:-3], full[1:-2], full[2:-1], full[3:]
    t = (np.arange(steps, dtype=np.float32) / steps)[:, None]
    weights = 0.5 * np.concatenate(
        [
            -t + 2 * t**2 - t**3,
            2 - 5 * t**2 + 3 * t**3,
            t + 4 * t**2 - 3 * t**3,
            t**3 - t**2,
        ],
        axis=1,
    )
    spans = np.stack([before, start, after, beyond], axis=1)  # (spans, 4, 2)
    curve = np.einsum("sk,nkc->nsc", weights, spans).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def fill(polygon: NDArray[np.floating], height: int, width: int) -> Floats:
    """Antialiased coverage of a closed polygon.

    Args:
        polygon: (N, 2) corners in pixels, pixel centres at .5; may leave the image and may overlap
            itself (what is inside any loop is covered).
        height: rows of the result.
        width: columns of the result.

    Returns:
        (height, width) float32, 0..1.
    """
    p = np.asarray(polygon, np.float64)
    q = np.roll(p, -1, 0)
    out = np.zeros((height, width + 2), np.float32)
    first = max(int(np.floor(p[:, 1].min())), 0)
    last = min(int(np.ceil(p[:, 1].max())), height)
    if last <= first or width < 1:
        return out[:, :width]
    y = (np.arange(first * _ROWS, last * _ROWS) + 0.5)[:, None] / _ROWS
    crosses = (p[None, :, 1] <= y) != (q[None, :, 1] <= y)
    row, edge = np.nonzero(crosses)
    a, b = p[edge], q[edge]
    x = a[:, 0] + (y[row, 0] - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    sign = np.where(b[:, 1] > a[:, 1], 1.0, -1.0)
    x = np.clip(x, 0.0, width)
    column = x.astype(np.int64)
    share = x - column
    # Each crossing switches the rest of its line on or off; its own pixel only in part.
    n = row.max(initial=0) + 1
    flat = row * (width + 2) + column
    size = n * (width + 2)
    line = np.bincount(flat, sign * (1 - share), size) + np.bincount(flat + 1, sign * share, size)
    lines = np.abs(np.cumsum(line.reshape(n, width + 2), axis=1))
    rows = np.zeros(((last - first) * _ROWS, width + 2))
    rows[:n] = np.minimum(lines, 1.0)
    out[first:last] = rows.reshape(last - first, _ROWS, width + 2).mean(1)
    result: Floats = np.ascontiguousarray(out[:, :width])
    result[result < 1e-6] = 0.0
    return result


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur; the border is handled by renormalising the kernel.

    As two products with band matrices: at these sizes one BLAS call beats any loop over taps and
    costs the same for every sigma.

    Args:
        image: (H, W) or (H, W, C) float32.
        sigma: standard deviation in pixels; below 0.05 the image comes back as it is.

    Returns:
        float32, same shape.
    """
    if sigma < 0.05:
        return image
    rows = _kernel(image.shape[0], round(sigma, 2))
    columns = _kernel(image.shape[1], round(sigma, 2))
    if image.ndim == 2:
        return rows @ image @ columns.T
    planes = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    return np.moveaxis(rows @ planes @ columns.T, 0, 2)


@lru_cache(maxsize=512)
def _kernel(n: int, sigma: float) -> Floats:
    """(n, n) rows of a Gaussian, each summing to one."""
    index = np.arange(n, dtype=np.float32)
    kernel = np.exp(-0.5 * ((index[:, None] - index[None, :]) / sigma) ** 2)
    kernel /= kernel.sum(1, keepdims=True)
    kernel = kernel.astype(np.float32)
    kernel.setflags(write=False)
    return kernel


def smoothstep(low: float, high: float, value: NDArray[np.float32]) -> Floats:
    """0 below ``low``, 1 above ``high``, smooth between; ``low`` may exceed ``high``."""
    t = np.clip((value - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    result: Floats = t * t * (np.float32(3.0) - np.float32(2.0) * t)
    return result
