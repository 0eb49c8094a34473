"""Colour: sRGB, linear light and CIE Lab, vectorised in float32.

Makeup is mixed in linear light (as pigment and light do) and judged in Lab (as eyes do). Sources:
the sRGB curve is IEC 61966-2-1:1999, the primaries and the D65 white are those of ITU-R BT.709,
and Lab is CIE 15:2004 with the exact constants epsilon = 216/24389 and kappa = 24389/27.

Every function takes arrays of any leading shape, never changes its input, and returns a new float32
array. Rows of the colour matrices are divided by the white point, so greys have a = b = 0 exactly
up to rounding and white has L = 100.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError

__all__ = ["lab_to_rgb", "linear_to_srgb", "rgb_to_lab", "srgb_to_linear"]

Floats = NDArray[np.float32]
Colours = NDArray[np.uint8] | NDArray[np.floating[Any]]

_EPSILON = 216.0 / 24389.0  # CIE 15:2004: t above this uses the cube root
_KAPPA = 24389.0 / 27.0
_DELTA = 6.0 / 29.0  # cube root of epsilon
# Chromaticities x, y of the BT.709 primaries (red, green, blue) and of D65, the four sRGB numbers.
_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_WHITE = (0.3127, 0.3290)


def srgb_to_linear(rgb: Colours) -> Floats:
    """Undo the sRGB curve: stored values to linear light.

    Args:
        rgb: uint8 0..255 (one table look-up) or floating point with 1.0 as white. Negative values
            count as 0; values above 1 follow the curve.

    Returns:
        float32, same shape, 0 is black and 1 is white.

    Raises:
        InputError: the array is neither uint8 nor floating point.
    """
    if rgb.dtype == np.uint8:
        return np.take(_linear_of_byte(), cast(NDArray[np.uint8], rgb))
    value = np.maximum(_as_float(rgb), np.float32(0.0))
    curve = np.power((value + np.float32(0.055)) * np.float32(1 / 1.055), np.float32(2.4))
    return np.where(value <= np.float32(0.04045), value * np.float32(1 / 12.92), curve)


def linear_to_srgb(linear: Colours) -> Floats:
    """Apply the sRGB curve: linear light to stored values.

    Args:
        linear: floating point, 1.0 is white. Clipped to 0..1 first, because no display shows more.

    Returns:
        float32 in 0..1, same shape. Multiply by 255, round and cast for bytes.

    Raises:
        InputError: the array is not floating point (bytes are never linear light).
    """
    if linear.dtype == np.uint8:
        raise InputError("linear light must be floating point, not uint8: 8 bits are too few.")
    value = np.clip(_as_float(linear), np.float32(0.0), np.float32(1.0))
    curve = np.power(value, np.float32(1 / 2.4))
    curve *= np.float32(1.055)
    curve -= np.float32(0.055)
    return np.where(value <= np.float32(0.0031308), value * np.float32(12.92), curve)


def rgb_to_lab(rgb: Colours) -> Floats:
    """Convert sRGB to CIE Lab with the D65 white.

    Args:
        rgb: ``(..., 3)`` uint8 0..255 or floating point 0..1.

    Returns:
        float32 ``(..., 3)``: L 0..100, then a (green to red) and b (blue to yellow), about
        -110..110.

    Raises:
        InputError: the last axis is not 3, or the array is neither uint8 nor floating point.
    """
    _check_triples(rgb)
    to_white, _ = _matrices()
    relative = srgb_to_linear(rgb) @ to_white.T
    f: Floats = np.cbrt(relative)
    dark = relative <= np.float32(_EPSILON)
    if dark.any():  # the straight part of the CIE curve; most photos have few such values
        line = (relative * np.float32(_KAPPA) + np.float32(16.0)) * np.float32(1 / 116)
        np.copyto(f, line, where=dark)
    lab = np.empty_like(f)
    lab[..., 0] = np.float32(116.0) * f[..., 1] - np.float32(16.0)
    lab[..., 1] = np.float32(500.0) * (f[..., 0] - f[..., 1])
    lab[..., 2] = np.float32(200.0) * (f[..., 1] - f[..., 2])
    return lab


def lab_to_rgb(lab: NDArray[np.floating[Any]]) -> Floats:
    """Convert CIE Lab (D65) to sRGB.

    Args:
        lab: floating point ``(..., 3)``, L 0..100.

    Returns:
        float32 ``(..., 3)`` in 0..1. Colours outside sRGB are clipped channel by channel.

    Raises:
        InputError: the last axis is not 3, or the array is not floating point.
    """
    _check_triples(lab)
    value = _as_float(lab)
    _, from_white = _matrices()
    f = np.empty(value.shape, np.float32)
    f[..., 1] = (value[..., 0] + np.float32(16.0)) * np.float32(1 / 116)
    f[..., 0] = f[..., 1] + value[..., 1] * np.float32(1 / 500)
    f[..., 2] = f[..., 1] - value[..., 2] * np.float32(1 / 200)
    relative = f * f * f
    dark = f <= np.float32(_DELTA)
    if dark.any():
        line = (f * np.float32(116.0) - np.float32(16.0)) * np.float32(1 / _KAPPA)
        np.copyto(relative, line, where=dark)
    return linear_to_srgb(relative @ from_white.T)


@lru_cache(maxsize=1)
def _linear_of_byte() -> Floats:
    """Linear light of each of the 256 byte values, float32 ``(256,)``, computed in float64."""
    value = np.arange(256, dtype=np.float64) / 255.0
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    table = table.astype(np.float32)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=1)
def _matrices() -> tuple[Floats, Floats]:
    """Linear RGB to XYZ over white, and back: two float32 ``(3, 3)`` matrices.

    Solved from the chromaticities (Lindbloom, "RGB/XYZ Matrices"), so that they are exact inverses
    and map white to (1, 1, 1).
    """
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in _PRIMARIES]).T
    x, y = _WHITE
    white = np.array((x / y, 1.0, (1 - x - y) / y))
    to_xyz = columns * np.linalg.solve(columns, white)
    to_white = to_xyz / white[:, None]
    both = to_white.astype(np.float32), np.linalg.inv(to_white).astype(np.float32)
    for matrix in both:
        matrix.setflags(write=False)
    return both


def _as_float(value: Colours) -> Floats:
    """The array as float32 without a copy where it already is; refuses integers and objects."""
    if not np.issubdtype(value.dtype, np.floating):
        raise InputError(f"colours must be uint8 or floating point, not {value.dtype}.")
    return value.astype(np.float32, copy=False)


def _check_triples(value: Colours) -> None:
    """Refuse arrays whose last axis does not hold three channels."""
    if value.ndim < 1 or value.shape[-1] != 3:
        raise InputError(f"colours need a last axis of 3 channels, got shape {value.shape}.")
