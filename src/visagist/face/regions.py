"""Soft region masks from a mesh: skin, lips, mouth, eyes, brows and lids.

Each region is a smooth closed curve through mesh points, filled with antialiasing and feathered in
proportion to the face, so that a face looks the same in a crop of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.align import similarity
from visagist.face.raster import Floats, catmull_rom, fill, ramp, smoothstep
from visagist.face.topology import (
    FACE_OVAL,
    LIPS_INNER,
    LIPS_OUTER,
    N_POINTS,
    N_SKIN_POINTS,
    RIGHT_EYE,
    canonical_points,
    mirror_index,
)

# Closed outlines on the person's right; the left ones are their mirror images.
RIGHT_BROW_OUTLINE = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_LID_OUTLINE = (46, 53, 52, 65, 55, 193, 244, 233, 232, 231, 230, 229, 228, 31, 35, 124)
RIGHT_NOSTRIL = (79, 166, 59, 75, 60, 20, 238, 239)


@dataclass(frozen=True, slots=True)
class Regions:
    """Soft masks of one face, each (H, W) float32 in 0..1.

    Attributes:
        skin: the face inside its oval, without eyes, brows, lips, mouth and nostrils.
        lips: both lips, without what is between them.
        mouth: between the lips: teeth, tongue, the dark of an open mouth.
        eyes: the openings of the lids: white, iris and pupil.
        brows: both eyebrows.
        lids: from the brow down to the lash line, and the lower lid; without eye and brow.
    """

    skin: Floats
    lips: Floats
    mouth: Floats
    eyes: Floats
    brows: Floats
    lids: Floats


def mirrored(indices: tuple[int, ...]) -> tuple[int, ...]:
    """The same points on the other side of the face."""
    pairs = mirror_index()
    return tuple(int(pairs[i]) for i in indices)


def face_scale(mesh: NDArray[np.floating]) -> float:
    """Size of a face: 1 where it is as large as the canonical face in the 256x256 crop.

    Raises:
        FaceError: the mesh has no extent.
    """
    matrix = similarity(canonical_points()[:N_SKIN_POINTS, :2], mesh[:N_SKIN_POINTS, :2])
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def outline(
    mesh: NDArray[np.floating],
    indices: tuple[int, ...],
    height: int,
    width: int,
    *,
    feather: float = 0.0,
) -> Floats:
    """Coverage (height, width) of the smooth closed curve through mesh points."""
    return fill(catmull_rom(mesh[list(indices), :2]), height, width, feather=feather)


def region_masks(mesh: NDArray[np.floating], size: int | tuple[int, int]) -> Regions:
    """Region masks of a face.

    Args:
        mesh: (478, 2 or 3) points in pixels of the picture the masks are for.
        size: its side, or (height, width), in pixels.

    Returns:
        Six masks of that size. ``mouth`` and ``eyes`` are antialiased only, because they are what
        makeup must not touch; the others are feathered by 0.2 to 0.8 % of the face.

    Raises:
        InputError: the mesh has the wrong shape or is not finite, or the size is not positive.
        FaceError: the mesh has no extent.
    """
    height, width = (size, size) if isinstance(size, int) else size
    check_mesh(mesh)
    if height < 1 or width < 1:
        raise InputError(f"region masks need a positive size, got {height}x{width}.")
    unit = face_scale(mesh)

    def both(indices: tuple[int, ...], feather: float) -> Floats:
        right = outline(mesh, indices, height, width, feather=feather * unit)
        left = outline(mesh, mirrored(indices), height, width, feather=feather * unit)
        return np.maximum(right, left)

    oval = outline(mesh, FACE_OVAL, height, width, feather=1.6 * unit)
    # Closed lips meet: the sliver that noise leaves between their meshes is no mouth.
    gap = np.hypot(*(mesh[[13, 82, 312], :2] - mesh[[14, 87, 317], :2]).T).mean() / unit
    mouth = outline(mesh, LIPS_INNER, height, width) * np.float32(ramp(0.7, 1.6, float(gap)))
    outer = outline(mesh, LIPS_OUTER, height, width)
    eyes = both(RIGHT_EYE, 0.0)
    brows = both(RIGHT_BROW_OUTLINE, 0.9)
    lids = both(RIGHT_LID_OUTLINE, 1.2)
    lips = outline(mesh, LIPS_OUTER, height, width, feather=0.45 * unit) * (1 - mouth)
    holes = (1 - both(RIGHT_EYE, 0.5)) * (1 - brows) * (1 - both(RIGHT_NOSTRIL, 0.7))
    skin = smoothstep(0.4, 1.0, oval) * holes * (1 - eyes)
    skin *= (1 - np.maximum(outer, mouth)) * (1 - lips)
    masks = (skin, lips, mouth, eyes, brows * (1 - eyes), lids * (1 - eyes) * (1 - brows) * oval)
    return Regions(*(np.clip(m, 0.0, 1.0).astype(np.float32) for m in masks))


def check_mesh(mesh: NDArray[np.floating]) -> None:
    """Refuse a mesh of the wrong shape or with values that are not finite.

    Raises:
        InputError: it is one of these.
    """
    if mesh.ndim != 2 or mesh.shape[0] != N_POINTS or mesh.shape[1] not in (2, 3):
        raise InputError(f"a face mesh is ({N_POINTS}, 3) points, got shape {mesh.shape}.")
    if not np.isfinite(mesh).all():
        raise InputError("the face mesh holds values that are not finite.")
