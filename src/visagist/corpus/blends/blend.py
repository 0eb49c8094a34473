"""One face from two or three: shapes are averaged in three dimensions, textures band by band.

The host keeps its hair, its background and most of its light. Every other parent is warped to the
new shape, brought to the host's skin tone, and enters as a difference from the host in three bands
of scale, each through a mask whose softness suits the band (Burt & Adelson 1983), so that there is
no seam. Coarse and middle bands are averaged; the finest, which an average would turn to wax, comes
from one parent. Eyes, brows and mouth come from one parent each, because two pairs of catch lights,
two brow lines or two rows of teeth cannot be averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.light import multiplied, shading_change
from visagist.corpus.blends.mixture import Mixture
from visagist.corpus.blends.posing import mix_meshes, posed_like
from visagist.corpus.blends.texture_space import frontal_mesh
from visagist.corpus.blends.warp import sample
from visagist.errors import InputError
from visagist.face.regions import Regions, face_scale, outline, region_masks
from visagist.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LEFT_IRIS,
    N_SKIN_POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
    canonical_points,
)
from visagist.face.warp import extended, field, triangle_map

Floats = NDArray[np.float32]

# Standard deviations, in pixels of the 256x256 canonical crop, that part the bands.
_COARSE, _FINE = 16.0, 1.6
# The coarse band is mostly light; the host's neck and ears keep theirs.
_COARSE_SHARE = 0.5
# Averaging n unlike textures lowers their contrast by sqrt(sum of squared weights); part of it is
# given back.
_CONTRAST = 0.4
# How far inside the oval each band reaches its full share, same pixels.
_SOFTNESS = (22.0, 9.0, 4.0)
# Skin of one face: least spread of L*, a*, b*; squared distances, in spreads, of sure and no skin.
_LEAST_SPREAD = np.array([10.0, 4.0, 4.5])
_SURE, _NOT_SKIN = 6.0, 14.0
_EYES = ((RIGHT_EYE, (468, *RIGHT_IRIS)), (LEFT_EYE, (473, *LEFT_IRIS)))


def blend(
    images: Sequence[NDArray[np.uint8]],
    meshes: Sequence[NDArray[np.floating]],
    mixture: Mixture,
    *,
    variation: NDArray[np.floating] | None = None,
    complexion: Floats | None = None,
) -> tuple[NDArray[np.uint8], Floats]:
    """A new face.

    Args:
        images: (S, S, 3) aligned crops of one size and zoom.
        meshes: (478, 3) of each, in crop pixels.
        mixture: what each gives.
        variation: (478, 3) what no parent gave: added to the shape, in pixels of the frontal
            canonical crop; see :mod:`~visagist.corpus.blends.shape_space`.
        complexion: the same for the skin: added to its CIELAB in the frontal view of
            :mod:`~visagist.corpus.blends.texture_space`.

    Returns:
        Its picture (S, S, 3) and its mesh (478, 3).

    Raises:
        InputError: crops of several sizes, or weights that do not fit.
    """
    size = images[mixture.host].shape[0]
    if any(image.shape != (size, size, 3) for image in images):
        raise InputError("the parents of a blend need crops of one size")
    if len(mixture.texture) != len(images) or abs(sum(mixture.texture) - 1) > 1e-6:
        raise InputError(f"{len(images)} parents need as many texture weights that sum to 1")
    mixed = target = mix_meshes(meshes, mixture.shape, mixture.host)
    if variation is not None:
        front = canonical_points()
        added = posed_like(front + variation, mixed, front) - posed_like(front, mixed)
        target = (mixed + added).astype(np.float32)
    source, goal = extended(meshes[mixture.host], target, size)
    shown = triangle_map(goal, target[:, 2], size)
    result = sample(images[mixture.host], field(source, goal, shown))
    box = _box(target, size)
    host = result[box].astype(np.float32)
    change = np.zeros_like(host)
    part = _Part(target - (box[1].start, box[0].start, 0), host)
    for k, (image, mesh) in enumerate(zip(images, meshes, strict=True)):
        if k == mixture.host or not _gives(mixture, k):
            continue
        source, _ = extended(mesh, target, size)
        where = field(source, goal, shown[box], corner=(box[1].start, box[0].start))
        change += part.change(sample(image, where).astype(np.float32), mixture, k)
    face = host + change
    if complexion is not None:
        front, _ = extended(frontal_mesh(), target, size)
        where = field(front, goal, shown[box], corner=(box[1].start, box[0].start))
        face = part.with_complexion(face, sample(complexion, where))
    result[box] = np.clip(np.rint(face), 0, 255).astype(np.uint8)
    if variation is not None:
        result = multiplied(result, shading_change(mixed, target, size))
    return result, _with_irises(target, meshes[mixture.eyes])


def _box(mesh: Floats, size: int) -> tuple[slice, slice]:
    """Rows and columns that hold the face."""
    low = np.maximum(np.floor(mesh[:N_SKIN_POINTS, :2].min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(mesh[:N_SKIN_POINTS, :2].max(0)).astype(int) + 2, size)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _gives(mixture: Mixture, k: int) -> bool:
    """Whether a parent gives any texture."""
    features = (mixture.detail, mixture.eyes, mixture.brows, mixture.mouth)
    return mixture.texture[k] > 0 or k in features


def _flat(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 3) x, y and 1."""
    return np.column_stack([points[:, :2].astype(np.float64), np.ones(len(points))])


class _Part:
    """The face of the host, warped to the new shape, and what the other parents change in it."""

    def __init__(self, mesh: Floats, host: Floats) -> None:
        self._host = host
        self._unit = face_scale(mesh)
        self._masks = region_masks(mesh, host.shape[:2])
        self._oval = outline(mesh, FACE_OVAL, *host.shape[:2])
        self._inside = [_inner(self._oval, softness * self._unit) for softness in _SOFTNESS]
        self._lab = _to_lab(host)
        self._trust = skin_trust(self._lab, self._masks, self._oval, self._unit)

    def change(self, image: Floats, mixture: Mixture, k: int) -> Floats:
        """What parent k, warped to the same shape, adds to the host."""
        masks, unit = self._masks, self._unit
        lab = _to_lab(image)
        share = skin_trust(lab, masks, self._oval, unit) * self._trust
        difference = toned(lab, self._lab, masks.skin * share > 0.5) - self._host
        total = np.zeros_like(difference)
        for band, part in enumerate(_bands(difference, share * self._oval, unit)):
            weight = self._inside[band] * _weight(mixture, k, band, masks, unit)
            total += part * weight[..., None]
        return total

    def with_complexion(self, face: Floats, complexion: Floats) -> Floats:
        """Add what no parent gave to the skin."""
        share = (self._inside[2] * self._trust)[..., None]
        lab = _to_lab(face) + complexion * share
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * np.float32(255), np.float32)


def _with_irises(target: Floats, mesh: NDArray[np.floating]) -> Floats:
    """The irises follow the lids of the parent that gave the eyes, as its pixels do."""
    result = target.copy()
    for lids, iris in _EYES:
        ring, inside = mesh[list(lids)], mesh[list(iris)]
        affine = np.linalg.lstsq(_flat(ring), target[list(lids), :2], rcond=None)[0]
        result[list(iris), :2] = _flat(inside) @ affine
        result[list(iris), 2] = inside[:, 2] + (target[list(lids), 2] - ring[:, 2]).mean()
    return result


def _to_lab(image: Floats) -> Floats:
    scaled = np.clip(image, 0, 255) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), np.float32)


def skin_trust(lab: Floats, masks: Regions, oval: Floats, unit: float) -> Floats:
    """How sure each pixel shows this person's face, (H, W) 0..1: low where hair covers it.

    What covers a face reaches in from outside. So a pixel is covered when its colour is not that of
    the middle of the face and it is joined to the outside by such pixels. Eyes, brows, lips and
    nostrils do not join.

    Args:
        lab: (H, W, 3) CIELAB.
        masks: of the face in it.
        oval: (H, W) inside of the face.
        unit: size of the face, 1 in the canonical crop.
    """
    rows, columns = np.nonzero(masks.skin > 0.9)
    if len(rows) < 16:
        return np.zeros(lab.shape[:2], np.float32)
    middle = (np.abs(rows - rows.mean()) < 0.55 * np.ptp(rows) / 2) & (
        np.abs(columns - columns.mean()) < 0.7 * np.ptp(columns) / 2
    )
    colours = lab[rows[middle], columns[middle]]
    centre = np.median(colours, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(colours - centre), axis=0), _LEAST_SPREAD)
    scaled = (lab - centre.astype(np.float32)) * (1 / spread).astype(np.float32)
    distance = np.einsum("hwc,hwc->hw", scaled, scaled)
    near = 1 - np.clip((distance - _SURE) * np.float32(1 / (_NOT_SKIN - _SURE)), 0, 1)
    inside = oval > 0.5
    features = inside & (masks.skin < 0.5)
    other = np.where(inside, (near < 0.5) & ~features, True)
    # one pixel more on each side: the outside is one piece, however far the face reaches
    framed = np.pad(other, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(framed, connectivity=4)
    covered = (pieces[1:-1, 1:-1] == pieces[0, 0]) & inside
    near = np.where(covered, near, np.float32(1))
    # strands of hair are thinner than the blur: what is beside them is not trusted either
    side = 2 * max(1, round(1.2 * unit)) + 1
    sure = cv2.erode(near.astype(np.float32), np.ones((side, side), np.uint8))
    around = _blur(np.asarray(sure, np.float32), 2.0 * unit)
    return np.asarray(np.clip(around * 1.6 - 0.6, 0, 1), np.float32)


def toned(lab: Floats, like: Floats, where: NDArray[np.bool_]) -> Floats:
    """A picture whose skin has the mean and the spread of another's, channel by channel.

    Args:
        lab: (H, W, 3) CIELAB.
        like: the other, laid over it.
        where: (H, W) where both show skin.

    Returns:
        (H, W, 3) float32 RGB, 0..255.
    """
    gain, shift = np.ones(3), np.zeros(3)
    if where.sum() >= 16:
        mask = where.astype(np.uint8)
        mean, spread = (v.ravel() for v in cv2.meanStdDev(lab, mask=mask))
        goal, wanted = (v.ravel() for v in cv2.meanStdDev(like, mask=mask))
        gain = np.clip(wanted / np.maximum(spread, 1e-3), 0.7, 1.4)
        shift = goal - gain * mean
    matched = lab * gain.astype(np.float32) + shift.astype(np.float32)
    return np.asarray(cv2.cvtColor(matched, cv2.COLOR_LAB2RGB) * np.float32(255), np.float32)


def _bands(change: Floats, weight: Floats, unit: float) -> tuple[Floats, Floats, Floats]:
    """Coarse, middle and fine part of a difference that counts only where ``weight`` is."""
    masked = change * weight[..., None]
    coarse = _blur(masked, _COARSE * unit) / (_blur(weight, _COARSE * unit) + 0.05)[..., None]
    middle = _blur(masked, _FINE * unit) / (_blur(weight, _FINE * unit) + 0.05)[..., None]
    # middle and fine bands end where the trust ends; the coarse one is light and runs on
    cover = weight[..., None]
    return coarse, (middle - coarse) * cover, (change - middle) * cover


def _weight(mixture: Mixture, k: int, band: int, masks: Regions, unit: float) -> Floats:
    """(S, S) share of parent k in a band."""
    if band == 0:
        return np.float32(_COARSE_SHARE * mixture.texture[k]) * np.ones_like(masks.skin)
    contrast = float(np.sqrt(np.square(mixture.texture).sum())) ** -_CONTRAST
    base = mixture.texture[k] * contrast if band == 1 else float(k == mixture.detail)
    weight = np.full_like(masks.skin, base)
    regions = (
        (masks.brows, mixture.brows, 6.0),
        (np.maximum(masks.lips, masks.mouth), mixture.mouth, 3.5),
        (masks.eyes, mixture.eyes, 3.5),
    )
    for mask, parent, margin in regions:
        wide = _grown(mask, margin * unit)
        weight += wide * (float(k == parent) - weight)
    return weight


def _grown(mask: Floats, margin: float) -> Floats:
    """A mask that reaches ``margin`` pixels further and ends softly."""
    side = 2 * max(1, round(margin)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return _blur(np.asarray(cv2.dilate(mask, kernel), np.float32), margin / 2)


def _inner(oval: Floats, softness: float) -> Floats:
    """0 at the oval's edge, 1 further than ``softness`` pixels inside."""
    soft = _blur(oval, softness / 2)
    t = np.clip((soft - np.float32(0.5)) * np.float32(2.1), 0, 1) * oval
    return np.asarray(t * t * (3 - 2 * t), np.float32)


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
