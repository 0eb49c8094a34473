"""How the skin's shading and colour differ between people, learned from the faces of a corpus.

The texture's part of an active appearance model (Cootes, Edwards & Taylor 2001), for the middle
band of scale alone: what is coarser is light, what is finer is pores and noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.shape_space import LEAST
from visagist.corpus.blends.warp import sample
from visagist.errors import DataError
from visagist.face.regions import RIGHT_BROW_OUTLINE, mirrored, outline, region_masks
from visagist.face.topology import FACE_OVAL, canonical_points
from visagist.face.warp import extended, field, triangle_map

Floats = NDArray[np.float32]

SIDE = 160
"""Of the frontal view, the canonical crop reduced, that faces are compared in."""
_COARSE, _FINE = 10.0, 1.0  # standard deviations that bound the band, pixels of that view
_FARTHEST = 2.0  # standard deviations from the mean skin in any direction
_COLOUR = 0.5  # share of the colour's part: drawn at random, blotches show sooner than shades
_NOT_SKIN = 3.5  # spreads; a difference beyond is hair or glasses and is cut


@lru_cache(maxsize=1)
def frontal_mesh() -> Floats:
    """(478, 3) the canonical face in the frontal view."""
    return canonical_points() * np.float32(SIDE / 256)


@lru_cache(maxsize=1)
def _map() -> NDArray[np.int32]:
    face = frontal_mesh()
    return triangle_map(extended(face, face, SIDE)[1], face[:, 2], SIDE)


@lru_cache(maxsize=1)
def skin_only() -> Floats:
    """(SIDE, SIDE) 0..1: the skin, away from eyes, brows, lips and the oval's edge."""
    face = frontal_mesh()
    masks = region_masks(face, SIDE)
    other = np.maximum.reduce([masks.eyes, masks.lips, masks.mouth])
    for ring in (RIGHT_BROW_OUTLINE, mirrored(RIGHT_BROW_OUTLINE)):
        other = np.maximum(other, outline(face, ring, SIDE, SIDE))
    other = cv2.GaussianBlur(cv2.dilate(other, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
    oval = cv2.erode(outline(face, FACE_OVAL, SIDE, SIDE), np.ones((9, 9), np.uint8))
    return np.asarray(cv2.GaussianBlur(oval, (0, 0), 3.0) * (1 - other), np.float32)


def frontal(image: NDArray[np.uint8], mesh: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A face warped to the frontal view, (SIDE, SIDE, 3)."""
    face = frontal_mesh()
    source, goal = extended(np.asarray(mesh, np.float32), face, image.shape[0])
    # a first reduction, so that nothing is skipped
    factor = max(1, int(np.ptp(mesh[:468, 1]) / np.ptp(face[:468, 1])))
    side = image.shape[0] // factor
    small = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    where = field(source, goal, _map()) * np.float32(side / image.shape[0])
    return sample(small, where)


@dataclass(frozen=True, slots=True)
class TextureSpace:
    """Principal directions of skin texture in the frontal view.

    Attributes:
        mean: (SIDE, SIDE, 3) float32 the mean band.
        directions: (K, SIDE, SIDE, 3) float32 CIELAB, each of one standard deviation.
    """

    mean: Floats
    directions: Floats

    def coordinates(self, image: NDArray[np.uint8], mesh: NDArray[np.floating]) -> Floats:
        """(K,) where a face's skin lies, in standard deviations."""
        band = (_band(image, mesh) - self.mean).ravel()
        flat = self.directions.reshape(len(self.directions), -1)
        return np.asarray(flat @ band / np.maximum((flat * flat).sum(1), 1e-6), np.float32)

    def vary(
        self,
        parents: Sequence[tuple[NDArray[np.uint8], NDArray[np.floating]]],
        weights: Sequence[float],
        random: np.random.Generator,
        *,
        inherit: float,
        strength: float,
    ) -> Floats:
        """(SIDE, SIDE, 3) what makes blended skin only partly like its parents'.

        Args:
            parents: pictures and meshes.
            weights: of their textures.
            random: draws the new skin.
            inherit: share of the way from the mean skin to the parents' that is kept, 0..1.
            strength: standard deviations of what is drawn.
        """
        here = sum(
            w * self.coordinates(image, mesh)
            for w, (image, mesh) in zip(weights, parents, strict=True)
        )
        kept = inherit * here
        there = kept + strength * random.standard_normal(len(self.directions))
        # whoever is further from the mean already may stay there
        limit = np.maximum(np.abs(kept), _FARTHEST)
        change = (np.clip(there, -limit, limit) - here).astype(np.float32)
        skin = np.tensordot(change, self.directions, 1)
        skin[..., 1:] *= _COLOUR
        return np.asarray(skin, np.float32)


def _band(image: NDArray[np.uint8], mesh: NDArray[np.floating]) -> Floats:
    """The middle band of a face's skin in the frontal view, 0 elsewhere."""
    lab = cv2.cvtColor(frontal(image, mesh).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    band = cv2.GaussianBlur(lab, (0, 0), _FINE) - cv2.GaussianBlur(lab, (0, 0), _COARSE)
    return np.asarray(band * skin_only()[..., None], np.float32)


def learn_texture_space(
    faces: Iterable[tuple[NDArray[np.uint8], NDArray[np.floating]]], count: int = 40
) -> TextureSpace:
    """Principal components of the middle band of skin texture.

    Args:
        faces: pictures and their meshes, one a person.
        count: directions kept.

    Raises:
        DataError: too few faces.
    """
    rows = [_band(image, mesh).ravel() for image, mesh in faces]
    if len(rows) < LEAST:
        raise DataError(f"{len(rows)} faces; {LEAST} are needed to learn how skin differs")
    data = np.stack(rows)
    mean = np.median(data, axis=0)
    data -= mean
    spread = np.maximum(data.std(axis=0), 0.3)
    data = np.clip(data, -_NOT_SKIN * spread, _NOT_SKIN * spread)
    # the small side's eigenvectors give the large side's
    values, vectors = np.linalg.eigh(data @ data.T)
    kept = min(count, len(rows) - 1)
    order = np.argsort(-values)[:kept]
    directions = (vectors[:, order].T @ data) / np.float32(np.sqrt(len(rows) - 1))
    shape = (SIDE, SIDE, 3)
    return TextureSpace(
        mean.reshape(shape).astype(np.float32), directions.reshape(kept, *shape).astype(np.float32)
    )
