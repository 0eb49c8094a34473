"""The watermark for small pictures: low frequencies of the whole frame, rounded to a lattice.

A small picture has too little room for waves that must drown its own structure. Quantisation index
modulation (Chen and Wornell, IEEE Trans. Information Theory 47(4), 2001) need not: a coefficient of
the frame's cosine transform is moved to the nearest point of one of two lattices, one for each bit,
so the picture itself is no noise. The lattice's step is searched for in reading, so that scaling,
which keeps the order of coefficients, and changes of contrast do no harm. Cropping does.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from visagist.provenance.watermark import code
from visagist.provenance.watermark.plane import Plane, luma

__all__ = ["find", "write"]

_RING = (7.0, 22.0)  # half periods over the frame
_ROUNDS = 4
_STEPS = (0.02, 20.0)  # of the lattice, against the mean coefficient
_FINENESS = 0.002
_CANDIDATES = 3
_LEAST = 6.0

Floats = NDArray[np.float64]


def _order() -> NDArray[np.int64]:
    """Which coefficients carry chips, ``(N, 2)`` as (row, column), in the order of their hashes."""
    reach = int(_RING[1])
    ring = [
        (v, u)
        for v in range(reach + 1)
        for u in range(reach + 1)
        if _RING[0] <= np.hypot(u, v) <= _RING[1]
    ]
    return np.array(sorted(ring, key=lambda at: _hash(*at)), np.int64)


def _hash(v: int, u: int) -> bytes:
    return hashlib.sha256(f"visagist 1 frame {v} {u}".encode()).digest()


_PLACES = _order()
_REACH = int(_PLACES.max()) + 1
_OFFSETS = np.array([_hash(int(v), int(u))[8] / 256.0 for v, u in _PLACES])  # of each lattice


def write(pixels: NDArray[np.uint8], mark_id: int, decibels: float) -> NDArray[np.uint8]:
    """Round coefficients to the lattices of the id's code bits.

    Args:
        pixels: uint8 ``(H, W, 3)`` sRGB, at least 32 pixels a side.
        mark_id: 0 to 2**40 - 1.
        decibels: PSNR to spend.

    Returns:
        the marked pixels.
    """
    height, width = pixels.shape[:2]
    down, across = _basis(height), _basis(width)
    bits = np.resize(code.encode(mark_id) < 0, len(_PLACES))
    # Rounding to a step moves a coefficient by step^2 / 12 in the mean square.
    spent = height * width * 255.0**2 / 10.0 ** (decibels / 10.0)
    step = np.sqrt(12.0 * spent / len(_PLACES))
    shift = (_OFFSETS + bits / 2.0) * step
    marked = pixels.astype(np.float32)
    goal: Floats | None = None
    for _ in range(_ROUNDS):  # what rounding to levels and clipping undid is done again
        now = _coefficients(luma(np.rint(np.clip(marked, 0, 255))), down, across)
        if goal is None:
            goal = np.rint((now - shift) / step) * step + shift
        change = np.zeros((_REACH, _REACH))
        change[_PLACES[:, 0], _PLACES[:, 1]] = goal - now
        marked = marked + (down.T @ change @ across).astype(np.float32)[..., None]
    return np.rint(np.clip(marked, 0, 255)).astype(np.uint8)


def find(plane: Plane) -> tuple[int, float] | None:
    """Read the lattices.

    Args:
        plane: brightness, ``(H, W)``.

    Returns:
        the id and how far coefficients keep to a lattice, in standard deviations of unmarked
        pictures; or None.
    """
    height, width = plane.shape
    values = _coefficients(plane, _basis(height), _basis(width))
    scale = float(np.abs(values).mean())
    if scale == 0.0:
        return None
    steps = scale * np.exp(np.arange(np.log(_STEPS[0]), np.log(_STEPS[1]), _FINENESS))
    # Both bits' lattices together are one with half the step: how well values keep to that.
    turns = 2.0 * (values / steps[:, None] - _OFFSETS)
    fit = np.cos(2.0 * np.pi * turns).mean(1) * np.sqrt(2.0 * len(values))
    for index in np.argsort(fit)[::-1][:_CANDIDATES]:
        if fit[index] < _LEAST:
            return None
        soft = np.cos(2.0 * np.pi * (values / steps[index] - _OFFSETS))
        mark_id = code.decode(code.spread(soft))
        if mark_id is not None:
            return mark_id, float(fit[index])
    return None


def _coefficients(plane: Plane, down: Floats, across: Floats) -> Floats:
    found: Floats = (down @ plane @ across.T)[_PLACES[:, 0], _PLACES[:, 1]]
    return found


def _basis(length: int) -> Floats:
    """The first rows of the orthonormal cosine transform (DCT-II), ``(reach, length)``."""
    rows = np.arange(_REACH)[:, None]
    basis = np.cos(np.pi * rows * (2 * np.arange(length) + 1) / (2 * length))
    scaled: Floats = basis * np.where(rows == 0, np.sqrt(1 / length), np.sqrt(2 / length))
    return scaled
