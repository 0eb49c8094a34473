"""What both watermarks need of a picture: its brightness, a detail layer, and box means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Plane", "box_mean", "detail", "luma", "psnr", "reduced"]

Plane = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG's
_FINE = 3  # pixels; details up to about twice this are kept
_CLIP = 2.5


def luma(pixels: NDArray[np.uint8] | Plane) -> Plane:
    """Brightness 0..255, ``(H, W)``, of sRGB ``(H, W, 3)``."""
    brightness: Plane = np.asarray(pixels, np.float32) @ _LUMA
    return brightness


def psnr(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two pictures in decibels, infinite where they are equal."""
    error = float(np.square(before.astype(np.float32) - after).mean(dtype=np.float64))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))


def box_mean(plane: Plane, radius: int, *, wrap: bool = False) -> Plane:
    """Mean over a square of ``2 radius + 1`` pixels; the border is repeated, or goes round in y."""
    tall = np.pad(plane, ((radius, radius), (0, 0)), mode="wrap" if wrap else "edge")
    wide = np.pad(_sums(tall, radius, 0), ((0, 0), (radius, radius)), mode="edge")
    total = _sums(wide, radius, 1)
    total *= np.float32(1.0 / (2 * radius + 1) ** 2)
    return total


def _sums(padded: Plane, radius: int, axis: int) -> Plane:
    """Sums of ``2 radius + 1`` neighbours along an axis, by doubling: few passes, no drift."""

    def part(of: Plane, start: int, length: int) -> Plane:
        return of[start : start + length] if axis == 0 else of[:, start : start + length]

    left, span, taken, sums = 2 * radius + 1, 1, 0, padded
    count = padded.shape[axis] - 2 * radius
    total: Plane | None = None
    while left:
        if left & 1:
            found = part(sums, taken, count)
            total = found.copy() if total is None else np.add(total, found, out=total)
            taken += span
        left >>= 1
        if left:
            length = sums.shape[axis] - span
            sums = part(sums, 0, length) + part(sums, span, length)
            span *= 2
    assert total is not None  # a width is at least 1
    return total


def detail(plane: Plane) -> tuple[Plane, Plane]:
    """Fine structure in units of its local strength, so that hair does not drown skin.

    Returns:
        the structure, clipped to +-2.5, and its local strength in levels, both ``(H, W)``.
    """
    fine = plane - box_mean(box_mean(plane, _FINE), _FINE)
    power = box_mean(box_mean(fine * fine, 2 * _FINE), 2 * _FINE)
    strength = np.sqrt(np.maximum(power, 0.0), dtype=np.float32) + np.float32(1.0)
    return np.clip(fine / strength, -_CLIP, _CLIP), strength


def reduced(plane: Plane, shorter: int) -> Plane:
    """A plane shrunk to ``shorter`` pixels on its shorter side, or as it is if it is no larger."""
    height, width = plane.shape
    factor = min(height, width) / shorter
    if factor <= 1.0:
        return plane
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(small, np.float32)
