"""Definitions of the numbers we report. Pictures are float arrays of levels 0..255."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def psnr(error: Floats, mask: Floats | None = None) -> float:
    """``10 log10(255^2 / MSE)`` over all values of an (H, W, 3) error, or those under a mask.

    Args:
        error: difference of two pictures in levels.
        mask: (H, W); pixels above 0.5 count. ``None`` counts all.

    Returns:
        Decibels, capped at 100; NaN when the mask is empty.
    """
    values = error if mask is None else error[mask > 0.5]
    if values.size == 0:
        return float("nan")
    mse = float(np.mean(np.square(values, dtype=np.float64)))
    return float(min(100.0, 10 * np.log10(255.0**2 / max(mse, 1e-12))))


@cache
def _gaussian_rows(size: int, sigma: float = 1.5, radius: int = 5) -> Floats:
    """(size - 2 radius, size) matrix: an 11-tap Gaussian without padding."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    rows = np.zeros((size - 2 * radius, size))
    for i in range(len(rows)):
        rows[i, i : i + 2 * radius + 1] = taps
    return rows.astype(np.float32)


def ssim(first: Floats, second: Floats) -> float:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian of 1.5, mean over R, G and B.

    Args:
        first: (H, W, 3) in levels.
        second: the same shape.
    """
    down, across = _gaussian_rows(first.shape[0]), _gaussian_rows(first.shape[1])

    def blur(x: Floats) -> Floats:
        return np.asarray(down @ x @ across.T, np.float32)

    x, y = (np.ascontiguousarray(p.transpose(2, 0, 1), np.float32) for p in (first, second))
    mx, my = blur(x), blur(y)
    vx, vy = blur(x * x) - mx * mx, blur(y * y) - my * my
    cov = blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(score.mean())


def leakage(residual: Floats, allowed: Floats) -> float:
    """Share of |residual| where makeup has no business: ``sum |R| (1 - M) / sum |R|``.

    Args:
        residual: (H, W, 3).
        allowed: (H, W) in 0..1, the made-up regions with their feathers.
    """
    size = np.abs(residual).sum(2)
    total = float(size.sum())
    return float((size * (1 - allowed)).sum() / total) if total > 0 else 0.0


def level(residual: Floats, mask: Floats) -> float:
    """Mean |residual| in levels under a mask; NaN when the mask covers fewer than 8 pixels."""
    inside = mask > 0.5
    return float(np.abs(residual[inside]).mean()) if inside.sum() >= 8 else float("nan")


def shift_sensitivity(moved: Floats, still: Floats, *, rim: int = 8) -> float:
    """``mean |T^-1 R(T x) - R(x)| / mean |R(x)|`` for a shift by one pixel on both axes.

    Args:
        moved: (H, W, 3) residual of the picture shifted right and down by one pixel.
        still: residual of the picture itself.
        rim: border that is ignored.
    """
    back = moved[1:, 1:]
    inner = slice(rim, -rim)
    change = np.abs(back - still[:-1, :-1])[inner, inner].mean()
    size = np.abs(still[:-1, :-1])[inner, inner].mean()
    return float(change / size) if size > 0 else 0.0


def skin_tone(crop: NDArray[np.uint8], skin: Floats) -> float:
    """Individual typology angle of the skin in degrees: ``atan((L* - 50) / b*)``; light is high."""
    from visagist.photo.colour import rgb_to_lab  # noqa: PLC0415  keeps this module free of tables

    lab = rgb_to_lab(crop)[skin > 0.9]
    if not len(lab):
        return float("nan")
    lightness, yellow = np.median(lab[:, 0]), np.median(lab[:, 2])
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))
