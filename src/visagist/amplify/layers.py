"""A style as layers on the mesh: how each place of a face changes the colour that it finds there.

Makeup covers: what it adds to a place depends on the colour below. So a layer is a colour and an
opacity, ``after = before + change + slope (before - base)``, and both follow from a few looks by
least squares at every texel of the atlas. One look, or several of the same colour, cannot tell the
slope: there it goes to what the change itself tells. Darkening by a third covers a third at least.
Nor can one look tell makeup from where its mesh is off, so that the other half of the face is heard
as well, as far as the two agree, and the less the more looks there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import CropFace, Look
from visagist.amplify.lift import ATLAS_SIZE, atlas_points, sample, warp
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.errors import InputError
from visagist.face.align import CROP_SIZE

Floats = NDArray[np.float32]

POOL = 1.0
"""Standard deviation in texels of the neighbourhood that a slope is estimated from."""
RIDGE = 1600.0
"""Variance of colour, in levels squared, that one look would need for its slope to be believed as
much as the expected one; several looks need their number's part of it."""
COVER = 0.6
"""Expected slope as a part of the least opacity that makes the change. Pure paint of the end of the
scale has 1; other pigments cover more, and light that a product adds covers nothing."""
MIRROR = 0.5
"""Weight in looks of the other half of the face."""
_AGREE = 12.0
"""Levels by which the halves may differ, over a few texels, before they stop being one style."""
_HALF = 3.0
"""Standard deviation in texels over which they are compared; less is where meshes are off."""
_GLANCING = 0.15
"""Cosine below which a surface is seen too obliquely to be painted at full strength."""
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Weighted sums over looks at every texel; evidence of several looks adds up.

    Attributes:
        weight: (A, A, 1) how often, and how squarely, a texel was seen.
        before: (A, A, 3) sum of bare colours in levels.
        change: (A, A, 3) sum of changes.
        square: (A, A, 3) sum of squared bare colours.
        product: (A, A, 3) sum of bare colour times change.
    """

    weight: Floats
    before: Floats
    change: Floats
    square: Floats
    product: Floats

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def mirrored(self) -> Evidence:
        """The same of the face's mirror image; the atlas is symmetric."""
        return Evidence(*(np.asarray(getattr(self, f.name)[:, ::-1]) for f in fields(self)))

    def layers(
        self,
        *,
        pool: float = POOL,
        ridge: float = RIDGE,
        cover: float = COVER,
        mirror: float = MIRROR,
    ) -> Layers:
        """Least squares at every texel, pooled over its neighbourhood.

        Args:
            pool: standard deviation of the neighbourhood in texels.
            ridge: strength of the expected slope, see :data:`RIDGE`.
            cover: the expected slope, see :data:`COVER`; 0 expects none.
            mirror: weight of the face's other half, see :data:`MIRROR`.
        """
        total = self._with_other_half(mirror) if mirror else self
        weight = np.maximum(total.weight, _LEAST_WEIGHT)
        base = np.asarray(total.before / weight, np.float32)
        change = np.asarray(total.change / weight, np.float32)
        near = np.maximum(_blurred(total.weight, pool), _LEAST_WEIGHT)
        x, y = _blurred(total.before, pool) / near, _blurred(total.change, pool) / near
        variance = np.maximum(_blurred(total.square, pool) / near - x * x, 0)
        covariance = _blurred(total.product, pool) / near - x * y
        # More than covering wholly, or than doubling the contrast, is noise.
        held = np.float32(ridge) / np.maximum(near, 1)
        expected = -np.float32(cover) * _least_opacity(base, change)
        slope = np.clip((covariance + held * expected) / (variance + held), -1, 1)
        parts = (base, change, slope, np.minimum(total.weight[..., 0], 1))
        return Layers(*(np.asarray(part, np.float32) for part in parts))

    def _with_other_half(self, mirror: float) -> Evidence:
        other = self.mirrored()
        means = [
            _blurred(half.change, _HALF) / np.maximum(_blurred(half.weight, _HALF), _LEAST_WEIGHT)
            for half in (self, other)
        ]
        apart = ((means[0] - means[1]) ** 2).mean(2, keepdims=True)
        # A place that only the other half shows has nothing to disagree with.
        agree = np.where(self.weight > 0.1, np.exp(-apart / (2 * _AGREE**2)), 1)
        share = np.float32(mirror) * agree / np.maximum(other.weight, 1)
        return Evidence(
            *(
                np.asarray(getattr(self, f.name) + share * getattr(other, f.name), np.float32)
                for f in fields(self)
            )
        )


def _least_opacity(base: Floats, change: Floats) -> Floats:
    """0..1: how much of the colour below any paint must cover that changes it so."""
    room = np.where(change > 0, 255 - base, base)
    return np.asarray(np.clip(np.abs(change) / np.maximum(room, 8), 0, 1), np.float32)


def _blurred(field: Floats, sigma: float) -> Floats:
    blurred = cv2.GaussianBlur(field, (0, 0), sigma) if sigma else field
    return np.asarray(blurred.reshape(field.shape), np.float32)


@dataclass(frozen=True, slots=True)
class Layers:
    """A style in the atlas.

    Attributes:
        base: (A, A, 3) mean bare colour of the looks in levels.
        change: (A, A, 3) what the style adds to that colour.
        slope: (A, A, 3) by how much more it adds where the face is one level lighter; -1 covers
            what lies below wholly.
        known: (A, A) 0..1, where any look shows the texel.
    """

    base: Floats
    change: Floats
    slope: Floats
    known: Floats


class Canvas:
    """A face with what is needed to paint on it; computed once, when it is first asked for.

    Args:
        crop: (256, 256, 3) uint8.
        mesh: (478, 3) points in its pixels.
    """

    def __init__(self, crop: NDArray[np.uint8], mesh: NDArray[np.floating]) -> None:
        self.crop, self.mesh = crop, np.asarray(mesh, np.float32)

    @cached_property
    def masks(self) -> dict[str, Floats]:
        """(256, 256) of ``skin``, ``eyes`` and ``lips``."""
        return makeup_masks(self.mesh, CROP_SIZE)

    @cached_property
    def allowed(self) -> Floats:
        """(256, 256) 0..1, where anything may be painted."""
        return changed_mask(self.masks)

    @cached_property
    def _to_atlas(self) -> tuple[Floats, Floats]:
        return warp(self.mesh, atlas_points(), CROP_SIZE)

    def bring(self, field: Floats) -> Floats:
        """(A, A[, C]) in the atlas, as it lies on this face: (256, 256[, C])."""
        return sample(field, self._to_atlas[0])

    @cached_property
    def seen(self) -> Floats:
        """(256, 256) 0..1, 0 outside the mesh and 1 where it is not too oblique."""
        return np.asarray(np.clip(self._to_atlas[1] / _GLANCING, 0, 1), np.float32)

    def lay(self, layers: Layers) -> Floats:
        """(256, 256, 3) change of a style on this face in levels; 0 where nothing may be."""
        fields = (layers.base, layers.change, layers.slope, layers.known[..., None])
        found = self.bring(np.concatenate(fields, 2))
        base, change, slope, known = np.split(found, (3, 6, 9), axis=2)
        laid = change + slope * (self.crop - base)
        laid *= known * (self.seen * self.allowed)[..., None]
        return np.asarray(laid, np.float32)


def evidence(look: Look, valid: Floats | None = None) -> Evidence:
    """What one look shows of a style.

    Args:
        look: registered pair.
        valid: (256, 256) weights beside the look's own.
    """
    allowed = changed_mask(makeup_masks(look.mesh, CROP_SIZE)) * look.valid
    if valid is not None:
        allowed = allowed * valid
    places, _ = warp(atlas_points(), look.mesh, ATLAS_SIZE)
    # How squarely the photo shows a place: the warp to the atlas says so for the photo's pixels.
    _, facing = warp(look.mesh, atlas_points(), CROP_SIZE)
    before = look.before.astype(np.float32)
    stacked = np.concatenate(
        [before, look.after - before, (allowed * facing)[..., None]], 2, dtype=np.float32
    )
    x, change, weight = np.split(sample(stacked, places), (3, 6), axis=2)
    parts = (weight, weight * x, weight * change, weight * x * x, weight * x * change)
    return Evidence(*(np.asarray(part, np.float32) for part in parts))


def lift_layers(looks: Sequence[Look]) -> Layers:
    """The style of some looks.

    Raises:
        InputError: there is no look.
    """
    if not looks:
        raise InputError("a style is learned from at least one pair; none was given")
    total = evidence(looks[0])
    for look in looks[1:]:
        total = total + evidence(look)
    return total.layers()


def canvases(faces: Sequence[CropFace]) -> list[Canvas]:
    """A canvas for each face."""
    return [Canvas(face.crop, face.mesh) for face in faces]
