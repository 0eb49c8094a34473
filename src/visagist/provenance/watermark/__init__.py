"""An invisible watermark that carries an id, in the brightness of pixels.

Two of them, each for what the other cannot do: a repeated tile of waves, which bears cropping and
needs room (:mod:`tiled`), and a lattice for the low frequencies of the whole frame, which needs
little room and does not bear cropping (:mod:`frame`). Small pictures get the second, large ones the
first, and those in between both, within one budget of distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.provenance.watermark import code, frame, tiled
from visagist.provenance.watermark.plane import luma, psnr

__all__ = ["SMALLEST_SIDE", "Marked", "Reading", "embed", "read"]

Layer = Literal["tiled", "frame"]

SMALLEST_SIDE = 32
"""Pixels of the shorter side below which nothing is written or read."""

_TILED_FROM = 128
_FRAME_TO = 512
# PSNR in decibels that each spends, by the shorter side; both together stay above 40. Small ones
# have less room for the same 40 bits.
_FRAME_ALONE = 41.0
_FRAME = 47.0
_TILED = (41.5, 43.5)
_TILED_BETWEEN = (256, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Marked pixels.

    Attributes:
        pixels: uint8 ``(H, W, 3)``.
        psnr: decibels against the unmarked ones.
        layers: which watermarks they carry.
        warnings: a sentence for what a picture of this kind cannot bear.
    """

    pixels: NDArray[np.uint8]
    psnr: float
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An id read from pixels.

    Attributes:
        mark_id: hexadecimal digits.
        layer: which watermark told it.
        score: how far from chance, in standard deviations of unmarked pictures.
        scale: of the tile, against that at which it is written in pictures of this size; None
            for the frame.
    """

    mark_id: str
    layer: Layer
    score: float
    scale: float | None


def embed(pixels: NDArray[np.uint8], mark_id: str) -> Marked:
    """Write an id into a picture.

    Args:
        pixels: uint8 ``(H, W, 3)`` sRGB.
        mark_id: ten hexadecimal digits.

    Raises:
        InputError: the picture is under 32 pixels a side, or the id has another form.
    """
    side = min(pixels.shape[:2])
    if side < SMALLEST_SIDE:
        raise InputError(
            f"a picture needs {SMALLEST_SIDE} pixels a side to carry a watermark, this one is "
            f"{pixels.shape[1]} x {pixels.shape[0]}; enlarge it"
        )
    number = _number(mark_id)
    layers: list[Layer] = []
    marked = pixels
    if side >= _TILED_FROM:
        layers.append("tiled")
        decibels = float(np.interp(side, _TILED_BETWEEN, _TILED))
        marked = tiled.write(marked, number, decibels)
    if side <= _FRAME_TO:
        layers.append("frame")
        marked = frame.write(marked, number, _FRAME if side >= _TILED_FROM else _FRAME_ALONE)
    warnings = []
    if side < _TILED_FROM:
        warnings.append(
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels are too few for a watermark that bears "
            "cropping or a screenshot"
        )
    return Marked(
        pixels=marked,
        psnr=psnr(pixels, marked),
        layers=tuple(layers),
        warnings=tuple(warnings),
    )


def read(pixels: NDArray[np.uint8]) -> Reading | None:
    """Read the id that a picture carries, wherever the picture has been since.

    Args:
        pixels: uint8 ``(H, W, 3)`` sRGB of any size.

    Returns:
        the id, or None: there is none, or it cannot be read any more.
    """
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        return None
    plane = luma(pixels)
    lattice = frame.find(plane)
    if lattice is not None:
        mark_id, score = lattice
        return Reading(mark_id=_digits(mark_id), layer="frame", score=score, scale=None)
    found = tiled.find(plane)
    if found is None:
        return None
    return Reading(
        mark_id=_digits(found.mark_id), layer="tiled", score=found.score, scale=found.scale
    )


def _digits(number: int) -> str:
    return f"{number:0{code.BITS // 4}x}"


def _number(mark_id: str) -> int:
    try:
        if len(mark_id) == code.BITS // 4:
            return int(mark_id, 16)
    except ValueError:
        pass
    raise InputError(f"an id is {code.BITS // 4} hexadecimal digits, not {mark_id!a}")
