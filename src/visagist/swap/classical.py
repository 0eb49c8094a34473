"""A face swap without a network: the source's face warped onto the target and blended in.

The mesh carries the source's face to the target's pose and expression, its colours are brought to
the target's skin, coarse differences (the light) are taken out, and a soft mask that spares hair
and whatever else covers either face hides the seam. Gaze and the inside of the mouth stay the
target's. It is a baseline, and the proxy that makes training pictures (method of ReliableSwap and
DreamID: a swapped picture as input, the real one as truth).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.blend import skin_trust, toned
from visagist.corpus.blends.expression import CLOSED, mouth_open
from visagist.corpus.blends.warp import sample
from visagist.errors import InputError
from visagist.face.regions import Regions, face_scale, outline, region_masks
from visagist.face.topology import FACE_OVAL
from visagist.face.warp import extended, field, triangle_map
from visagist.swap.guide import SHUT, gaze_shift
from visagist.swap.shape import eye_opening, moved, shape_difference

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Seam = Literal["bands", "poisson"]

# Lengths in pixels of the 256x256 canonical crop.
_LIGHT = 18.0  # standard deviation above which a difference counts as light
_LIGHT_SHARE = 0.8  # of which so much stays the target's
_INSET, _SOFT = 5.0, 7.0  # the mask ends inside the oval, over so many pixels


def classical_swap(
    source_crop: Picture,
    source_mesh: NDArray[np.floating],
    target_crop: Picture,
    target_mesh: NDArray[np.floating],
    *,
    shape: float = 0.6,
    seam: Seam = "bands",
    source_free: Floats | None = None,
    target_free: Floats | None = None,
) -> tuple[Picture, Floats]:
    """The source's face on the target's picture.

    Args:
        source_crop: (S, S, 3) uint8 RGB square crop with the source's face.
        source_mesh: (478, 3) of the face in it, crop pixels.
        target_crop: (T, T, 3) crop of the target; field of view and size are free.
        target_mesh: (478, 3) of the face in it.
        shape: share of the source's build that the target's face takes on, 0..1.
        seam: ``bands`` takes out the coarse difference; ``poisson`` clones gradients (Perez 2003).
        source_free: (S, S) 0..1, 0 where something covers the source's face; guessed from colours
            when ``None``.
        target_free: (T, T), the same of the target.

    Returns:
        The target's crop with the face replaced, (T, T, 3) uint8, and the (T, T) float32 share in
        0..1 of the source's pixels. Pixels that neither the mask nor the change of shape reaches
        are bit-identical.

    Raises:
        InputError: a crop is not a square uint8 RGB picture, or a mesh is not finite.
    """
    for crop, mesh in ((source_crop, source_mesh), (target_crop, target_mesh)):
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[0] != crop.shape[1]:
            raise InputError(f"a swap needs square uint8 RGB crops, got {crop.shape}")
        if mesh.shape != (478, 3) or not np.isfinite(mesh).all():
            raise InputError("a swap needs (478, 3) meshes of finite points")
    size = target_crop.shape[0]
    goal = moved(target_mesh, shape * shape_difference(source_mesh, target_mesh))
    own, drawn = extended(target_mesh, goal, size)
    shown = triangle_map(drawn, goal[:, 2], size)
    back = field(own, drawn, shown)
    still = (np.abs(back - _identity(size)).max(2) < 1e-3)[..., None]
    base = np.where(still, target_crop, sample(target_crop, back)) if shape else target_crop
    given, _ = extended(source_mesh, goal, size)
    where = field(given, drawn, shown)
    rows, columns = np.indices((size, size)).reshape(2, -1)
    where += gaze_shift(source_mesh, goal, rows, columns).reshape(size, size, 2)
    face = sample(source_crop, where)
    part = _Part(base, face, goal)
    covered = (
        None if source_free is None else sample(source_free, where),
        None if target_free is None else sample(target_free, back),
    )
    mask = part.mask(*covered)
    mask *= _without_own(part.regions, source_mesh, target_mesh, part.unit)
    if seam == "poisson":
        return part.cloned(mask), mask
    return part.blended(mask), mask


def _identity(size: int) -> Floats:
    """(S, S, 2) x, y of every pixel's centre."""
    line = np.arange(size, dtype=np.float32) + np.float32(0.5)
    return np.stack(np.broadcast_arrays(line[None, :], line[:, None]), 2)


class _Part:
    """Both faces in one shape, and what is needed to put one into the other."""

    def __init__(self, base: Picture, face: Picture, mesh: Floats) -> None:
        self.base, self.face = base, face
        self.unit = face_scale(mesh)
        self.regions = region_masks(mesh, base.shape[0])
        self.oval = outline(mesh, FACE_OVAL, *base.shape[:2])
        self._labs = (_lab(base), _lab(face))

    def mask(self, source_free: Floats | None, target_free: Floats | None) -> Floats:
        """(S, S) share of the source: inside the oval, where both faces are bare."""
        unit = self.unit
        inset = (_INSET + _SOFT / 2) * unit
        inner = cv2.distanceTransform((self.oval > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        ramp = np.clip((inner - inset) / (_SOFT * unit) + 0.5, 0, 1).astype(np.float32)
        weight = ramp * ramp * (3 - 2 * ramp)
        for lab, free in zip(self._labs[::-1], (source_free, target_free), strict=True):
            weight = weight * self._bare(lab, free)
        return np.asarray(weight, np.float32)

    def _bare(self, lab: Floats, free: Floats | None) -> Floats:
        """(S, S) 0 where something covers a face."""
        if free is None:
            return skin_trust(lab, self.regions, self.oval, self.unit)
        side = 2 * max(1, round(1.5 * self.unit)) + 1
        return _blur(
            np.asarray(cv2.erode(free, np.ones((side, side), np.uint8)), np.float32), self.unit
        )

    def _toned(self, mask: Floats) -> Floats:
        """The source's face with the skin colours of the target, (S, S, 3) levels."""
        both = self.regions.skin * mask > 0.5
        return toned(self._labs[1], self._labs[0], both)

    def blended(self, mask: Floats) -> Picture:
        """Coarse differences, which are light, stay the target's; the rest enters by the mask."""
        base = self.base.astype(np.float32)
        difference = self._toned(mask) - base
        weight = self.regions.skin * mask
        coarse = _blur(difference * weight[..., None], _LIGHT * self.unit)
        coarse /= (_blur(weight, _LIGHT * self.unit) + np.float32(0.03))[..., None]
        result = base + (difference - np.float32(_LIGHT_SHARE) * coarse) * mask[..., None]
        inside = (mask > 0)[..., None]
        return np.where(inside, np.clip(np.rint(result), 0, 255).astype(np.uint8), self.base)

    def cloned(self, mask: Floats) -> Picture:
        """Gradients of the source inside the mask, solved against the target's rim."""
        solid = (mask > 0.3).astype(np.uint8)
        solid[[0, -1]] = 0
        solid[:, [0, -1]] = 0
        x, y, w, h = cv2.boundingRect(solid)
        if w < 4 or h < 4:
            return self.base.copy()
        face = np.clip(np.rint(self._toned(mask)), 0, 255).astype(np.uint8)
        # seamlessClone centres the mask's bounding box on the point it is given
        centre = (x + w // 2, y + h // 2)
        image = cv2.seamlessClone(face, self.base, solid * 255, centre, cv2.NORMAL_CLONE)
        soft = mask[..., None]
        mixed = image.astype(np.float32) * soft + self.base.astype(np.float32) * (1 - soft)
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _without_own(
    regions: Regions,
    source_mesh: NDArray[np.floating],
    target_mesh: NDArray[np.floating],
    unit: float,
) -> Floats:
    """1 but where the target's own pixels are needed: between open lips, and shut eyes."""
    keep = np.ones(regions.skin.shape, np.float32)
    if mouth_open(target_mesh) >= CLOSED:
        keep *= 1 - _blur(regions.mouth, 0.7 * unit)
    if min(*eye_opening(source_mesh), *eye_opening(target_mesh)) < SHUT:
        side = 2 * max(1, round(4 * unit)) + 1
        wide = cv2.dilate(regions.eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        keep *= 1 - _blur(np.asarray(wide, np.float32), 2 * unit)
    return keep


def _lab(image: Picture) -> Floats:
    scaled = image.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), np.float32)


def _blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur; wide ones on a reduced picture, where they cost little."""
    factor = int(sigma / 2)
    if factor < 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.float32)
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )
