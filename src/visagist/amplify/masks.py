"""Region masks of the Fine-Grained Makeup Module (FGMM of arXiv 2403.15033), from a mesh.

The regions are those of the makeup sliders (:mod:`visagist.makeup.zones`), so that what an
amplifier paints and what a user can turn down are the same pixels. Eyeballs and the inside of the
mouth are in none of them. Each region is drawn and softened by itself: blurring one picture of
region numbers would invent regions at every border.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.raster import shrink
from visagist.face.regions import check_mesh
from visagist.makeup.zones import PARTS, gain_map

Floats = NDArray[np.float32]

_RIM = 0.05
"""Sum of the masks below which a region's picture fades into what is elsewhere."""


def makeup_masks(mesh: NDArray[np.floating], size: int = 256) -> dict[str, Floats]:
    """Where each region of a face may be made up.

    Args:
        mesh: (478, 2 or 3) points in pixels of the crop.
        size: side of the crop.

    Returns:
        For ``lips``, ``eyes`` (lids, lashes, brows and their surroundings, without the eyeball) and
        ``skin`` (the face oval with cheeks and forehead, without the other two): (size, size)
        float32, 0..1, soft at the edges, at most 1 in sum. Where all three are 0 (hair, background,
        eyeballs, between the lips) nothing may be painted.

    Raises:
        InputError: the mesh has the wrong shape or is not finite, or the size is not positive.
        FaceError: the mesh has no extent.
    """
    check_mesh(mesh)
    if size < 1:
        raise InputError(f"makeup masks need a positive size, got {size}.")
    # The slider map is linear in the strengths, so each region's share is its map at one slider.
    return {part: gain_map(mesh, size, {p: float(p == part) for p in PARTS}) for part in PARTS}


def changed_mask(masks: Mapping[str, Floats]) -> Floats:
    """``M_changed = M_face + M_eyes + M_lips``: where anything may change, 0..1."""
    return np.minimum(np.sum(list(masks.values()), axis=0, dtype=np.float32), np.float32(1))


def reduced(mask: Floats, side: int) -> Floats:
    """A square mask at the side of a latent, each cell the smooth average of its pixels.

    Raises:
        InputError: the side does not divide the mask's.
    """
    if side < 1 or mask.shape[-1] % side:
        raise InputError(f"a mask of {mask.shape[-1]} pixels cannot be reduced to {side}.")
    factor = mask.shape[-1] // side
    return mask if factor == 1 else np.clip(shrink(mask, factor), 0, 1)


def composite(inside: Floats, outside: Floats, mask: Floats) -> Floats:
    """``outside + M (inside - outside)``: exactly ``outside`` where the mask is 0.

    Args:
        inside: (..., H, W, C).
        outside: the same shape.
        mask: (..., H, W) 0..1.
    """
    return np.asarray(outside + mask[..., None] * (inside - outside), np.float32)


def by_region(
    pictures: Mapping[str, Floats], masks: Mapping[str, Floats], elsewhere: Floats
) -> Floats:
    """``P + sum_r S_r (P_r - P)``, ``S_r = M_r / sum M``: another picture in each region.

    The changes of different styles for skin, eyes and lips are combined so. They have faded out at
    the edges of the regions already, so that the masks only tell whose they are and do not darken
    them again: equal pictures everywhere are that picture, to the bit.

    Args:
        pictures: ``P_r``, (..., H, W, C) by region.
        masks: (..., H, W) by region, as :func:`makeup_masks` gives them.
        elsewhere: ``P``, (..., H, W, C), for regions that are left out and outside of all masks.

    Raises:
        InputError: there is no picture, or one for a region that has no mask.
    """
    unknown = sorted(set(pictures) - set(masks))
    if unknown or not pictures:
        raise InputError(
            f"regions are {', '.join(masks)}; got {', '.join(unknown) or 'no picture'}."
        )
    total = np.maximum(np.sum(list(masks.values()), axis=0, dtype=np.float32), np.float32(_RIM))
    parts = [
        (masks[region] / total)[..., None] * (picture - elsewhere)
        for region, picture in pictures.items()
    ]
    return np.asarray(elsewhere + np.sum(parts, axis=0), np.float32)
