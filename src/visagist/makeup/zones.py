"""How much of a residual each part of the face takes: the sliders, and what is never painted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import catmull_rom, fill
from visagist.face.regions import RIGHT_BROW_OUTLINE, face_scale, mirrored, outline
from visagist.face.topology import FACE_OVAL, LIPS_INNER, LIPS_OUTER, RIGHT_EYE

PARTS = ("lips", "eyes", "skin")

# From above the brow, around the temple (wings end there), below the lower lid, to the nose.
_RIGHT_EYE_ZONE = (
    71, 63, 105, 66, 107, 55, 193, 245, 128, 121, 120, 119, 118, 117, 116, 34, 139,
)  # fmt: skip
_MARGIN = 1.05
"""The face oval is widened by this factor: blush and foundation end softly just outside it."""


def gain_map(
    mesh: NDArray[np.floating], size: int, strengths: Mapping[str, float]
) -> NDArray[np.float32]:
    """Factor on the residual for every pixel of the crop.

    Args:
        mesh: (478, 2 or 3) points in crop pixels.
        size: side of the crop.
        strengths: factor for each of ``lips``, ``eyes`` and ``skin``.

    Returns:
        (size, size) float32: the strength of the part a pixel belongs to, softly blended between
        parts; 0 on eyeballs, between the lips and outside the face.
    """
    unit = face_scale(mesh)
    lips, eyes, skin = (np.float32(strengths[part]) for part in PARTS)
    gain = np.full((size, size), skin, np.float32)
    if eyes != skin:
        for zone in (_RIGHT_EYE_ZONE, mirrored(_RIGHT_EYE_ZONE)):
            gain += (eyes - gain) * outline(mesh, zone, size, size, feather=2.5 * unit)
    if lips != skin:
        gain += (lips - gain) * outline(mesh, LIPS_OUTER, size, size, feather=1.5 * unit)
    gain *= _support(mesh, size, unit)
    for hole in (RIGHT_EYE, mirrored(RIGHT_EYE), LIPS_INNER):
        gain *= 1 - outline(mesh, hole, size, size)
    return gain


def _support(mesh: NDArray[np.floating], size: int, unit: float) -> NDArray[np.float32]:
    """1 on the face, falling to 0 just outside its oval, brows and wings included."""
    oval = np.asarray(mesh, np.float32)[list(FACE_OVAL), :2]
    wide = oval.mean(0) + (oval - oval.mean(0)) * _MARGIN
    support = fill(catmull_rom(wide), size, size, feather=2.0 * unit)
    for brow in (RIGHT_BROW_OUTLINE, mirrored(RIGHT_BROW_OUTLINE)):
        np.maximum(support, outline(mesh, brow, size, size, feather=2.0 * unit), out=support)
    # Exactly zero beyond the feather, so that what is outside the face stays bit-identical.
    return np.asarray(np.clip(support * 1.04 - 0.02, 0, 1), np.float32)
