"""Label maps of photos: what the mesh knows for sure, and what colours say about the rest.

Inside the face the mesh says where skin, lips, mouth, eyes and brows are, unless something covers
them. Around it nothing is known; a colour model (GrabCut, Rother et al. 2004) that starts from the
mesh's geometry separates person from background and hair from the rest. Whatever either of them is
not sure of stays unknown, because a wrong label teaches worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.align import Alignment, align, crop
from visagist.face.parser import classes
from visagist.face.regions import outline, region_masks
from visagist.face.topology import FACE_OVAL

_WORK = 160
"""Side of the picture the colour model works on: fine enough for hair, quick enough for a set."""
_SKIN_LIKE = 2.5
"""Robust standard deviations from the face's own skin colour up to which a pixel is skin."""

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelledView:
    """A wide crop of a photo with what is known about its pixels.

    Attributes:
        view: (S, S, 3) uint8.
        labels: (S, S) uint8 classes or ``IGNORE``.
        mesh: (478, 3) float32 in crop pixels.
        inside: (S, S) bool, False where the crop leaves the photo.
    """

    view: NDArray[np.uint8]
    labels: Labels
    mesh: NDArray[np.float32]
    inside: Mask


def label_photo(
    pixels: NDArray[np.uint8], mesh: NDArray[np.float32], *, size: int, field: float
) -> LabelledView:
    """Crop a face widely and label what is known.

    Args:
        pixels: (H, W, 3) uint8 photo.
        mesh: (478, 3) in photo pixels.
        size: side of the crop in pixels.
        field: side of the crop in canonical crops.

    Raises:
        FaceError: the face lies outside the photo, or the mesh has no extent.
    """
    alignment = align(mesh, size).widened(field)
    view, points = crop(pixels, alignment), alignment.to_crop(mesh)
    inside = _inside(alignment, pixels.shape[:2])
    scene = _Scene.of(view, points, inside)
    labels = face_labels(points, size)
    strange = _grown(scene.unlike_skin > _SKIN_LIKE, size) & _skin_like_classes(labels)
    labels[strange] = classes.IGNORE
    around = surroundings(view, scene)
    labels = np.where(labels == classes.IGNORE, around, labels)
    labels[~inside] = classes.IGNORE
    return LabelledView(view, labels, points, inside)


def face_labels(mesh: NDArray[np.float32], size: int) -> Labels:
    """What a mesh says about an uncovered face; its edges and all around it are ``IGNORE``."""
    regions = region_masks(mesh, size)
    labels = np.full((size, size), classes.IGNORE, np.uint8)
    labels[regions.skin > 0.98] = classes.SKIN
    for number, mask in (
        (classes.BROWS, regions.brows),
        (classes.LIPS, regions.lips),
        (classes.EYES, regions.eyes),
        (classes.MOUTH, regions.mouth),
    ):
        labels[mask > 0.7] = number
    return labels


@dataclass(frozen=True, slots=True)
class _Scene:
    """Geometry and colour of a crop, in units of its face."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    oval: Mask
    away: NDArray[np.float32]
    unlike_skin: NDArray[np.float32]
    inside: Mask
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, view: NDArray[np.uint8], mesh: NDArray[np.float32], inside: Mask) -> _Scene:
        size = len(view)
        y, x = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
        oval = outline(mesh, FACE_OVAL, size, size) > 0.5
        away = cv2.distanceTransform((~oval).astype(np.uint8), cv2.DIST_L2, 5)
        (x0, y0), (x1, y1) = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
        skin = region_masks(mesh, size).skin > 0.9
        return cls(
            x,
            y,
            oval,
            np.asarray(away, np.float32),
            unlike_skin(view, skin),
            inside,
            (float(x0), float(y0), float(x1), float(y1)),
        )

    def small(self) -> _Scene:
        """The same at the colour model's resolution, still in the crop's pixels."""

        def mask(m: Mask) -> Mask:
            return np.asarray(_shrunk(m.astype(np.uint8)) > 0)

        return _Scene(
            _shrunk(self.x),
            _shrunk(self.y),
            mask(self.oval),
            _shrunk(self.away),
            np.asarray(
                cv2.resize(self.unlike_skin, (_WORK, _WORK), interpolation=cv2.INTER_AREA),
                np.float32,
            ),
            mask(self.inside),
            self.box,
        )


def unlike_skin(view: NDArray[np.uint8], skin: Mask) -> NDArray[np.float32]:
    """How far every pixel's colour is from this face's skin, in robust standard deviations.

    Lightness counts half: shading changes it, while hue tells skin from most other things.
    """
    lab = cv2.cvtColor(view, cv2.COLOR_RGB2LAB).astype(np.float32)
    if not skin.any():
        return np.zeros(view.shape[:2], np.float32)
    values = lab[skin]
    middle = np.median(values, 0)
    spread = 1.5 * np.median(np.abs(values - middle), 0) + np.array([10, 2.5, 2.5])
    squares = ((lab - middle) / spread) ** 2 * np.array([0.5, 1, 1])
    return np.asarray(np.sqrt(squares.sum(2)), np.float32)


def surroundings(view: NDArray[np.uint8], scene: _Scene) -> Labels:
    """Background and hair where the colour model is sure of them, ``IGNORE`` elsewhere.

    Nothing at all is said where it has plainly failed: when the band right above the face, where
    every head goes on, came out as background.
    """
    size = len(view)
    nothing = np.full((size, size), classes.IGNORE, np.uint8)
    small = scene.small()
    picture = np.asarray(cv2.resize(view, (_WORK, _WORK), interpolation=cv2.INTER_AREA), np.uint8)
    person = _person(picture, small)
    _, y0, _, y1 = scene.box
    above = ~small.oval & (small.away < 0.1 * (y1 - y0)) & (small.y < y0 + 0.2 * (y1 - y0))
    above &= small.inside
    if above.sum() < 20 or person[above].mean() < 0.8:
        return nothing
    labels = np.full((_WORK, _WORK), classes.IGNORE, np.uint8)
    labels[_shrunken(~person & small.inside, 2)] = classes.BACKGROUND
    labels[_bare(small, person)] = classes.SKIN
    hair = _hair(picture, small, person)
    if hair is not None:
        labels[_shrunken(hair, 1)] = classes.HAIR
    labels = np.asarray(cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.where(scene.inside, labels, classes.IGNORE).astype(np.uint8)


def _person(picture: NDArray[np.uint8], scene: _Scene) -> Mask:
    """Head, neck and shoulders, by colours that start from the mesh's geometry."""
    x0, y0, x1, y1 = scene.box
    width, height, centre = x1 - x0, y1 - y0, (x0 + x1) / 2
    aside = np.abs(scene.x - centre)
    guess = np.full(scene.oval.shape, cv2.GC_PR_BGD, np.uint8)
    head = (aside / (0.72 * width)) ** 2 + (
        (scene.y - (y0 + 0.38 * height)) / (0.78 * height)
    ) ** 2 < 1
    shoulders = (scene.y > y1) & (aside < 0.45 * width + 1.4 * (scene.y - y1))
    guess[(head | shoulders) & scene.inside] = cv2.GC_PR_FGD
    far = (scene.away > 0.55 * width) & (scene.y < y0 + 0.75 * height) & (aside > 0.9 * width)
    guess[far] = cv2.GC_BGD
    neck = (scene.y > y1 - 0.1 * height) & (aside < 0.25 * width)
    guess[scene.oval | neck] = cv2.GC_FGD
    return _grab_cut(picture, guess, rounds=4)


def _bare(scene: _Scene, person: Mask) -> Mask:
    """Ears, neck and bald heads: near the face and plainly of its colour."""
    x0, y0, x1, y1 = scene.box
    height, centre = y1 - y0, (x0 + x1) / 2
    neck = (scene.y > y1 - 0.15 * height) & (np.abs(scene.x - centre) < 0.3 * (x1 - x0))
    near = scene.away < np.where(neck, 0.3, 0.12) * height
    bare = person & ~scene.oval & scene.inside & near & (scene.unlike_skin < 1.4)
    return _shrunken(bare, 1)


def _hair(picture: NDArray[np.uint8], scene: _Scene, person: Mask) -> Mask | None:
    """Hair of a person whose hair has another colour than the skin, else ``None``."""
    x0, y0, x1, y1 = scene.box
    width, height, centre = x1 - x0, y1 - y0, (x0 + x1) / 2
    aside, outside = np.abs(scene.x - centre), person & ~scene.oval
    seeds = outside & (scene.away < 0.16 * height) & (scene.y < y0 + 0.25 * height)
    seeds &= scene.inside & (scene.unlike_skin > 3)
    if seeds.sum() < 60:
        return None
    upper = scene.y < y0 + 0.3 * height
    guess = np.full(scene.oval.shape, cv2.GC_BGD, np.uint8)
    guess[outside & (scene.y < y1)] = cv2.GC_PR_FGD
    guess[outside & (scene.y >= y1) & (aside < 0.85 * width)] = cv2.GC_PR_BGD
    guess[scene.oval & upper & (scene.unlike_skin >= _SKIN_LIKE)] = cv2.GC_PR_FGD
    guess[seeds] = cv2.GC_FGD
    guess[(scene.y > y1 + 0.05 * height) & (aside < 0.2 * width)] = cv2.GC_BGD
    return _grab_cut(picture, guess, rounds=3)


def _grab_cut(picture: NDArray[np.uint8], guess: NDArray[np.uint8], *, rounds: int) -> Mask:
    kinds = set(np.unique(guess).tolist())
    if not kinds & {cv2.GC_FGD, cv2.GC_PR_FGD} or not kinds & {cv2.GC_BGD, cv2.GC_PR_BGD}:
        return np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD))
    cv2.setRNGSeed(0)  # its colour mixtures start from random clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, guess, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _inside(alignment: Alignment, shape: tuple[int, ...]) -> Mask:
    """Which crop pixels show the photo rather than its repeated edge."""
    size = alignment.size
    y, x = np.mgrid[:size, :size] + 0.5
    source = alignment.to_photo(np.stack([x.ravel(), y.ravel()], 1)).reshape(size, size, 2)
    height, width = shape[:2]
    return np.asarray(
        (source[..., 0] >= 0)
        & (source[..., 0] < width)
        & (source[..., 1] >= 0)
        & (source[..., 1] < height)
    )


def _skin_like_classes(labels: Labels) -> Mask:
    """Where a strange colour speaks against the mesh: lips, eyes and mouths have their own."""
    return np.asarray(labels == classes.SKIN)


def _shrunk(values: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(
        cv2.resize(values, (_WORK, _WORK), interpolation=cv2.INTER_NEAREST), np.float32
    )


def _shrunken(mask: Mask, pixels: int) -> Mask:
    """A margin of so many pixels taken off."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), kernel) > 0)


def _grown(mask: Mask, size: int) -> Mask:
    kernel = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    reach = 2 * max(1, size // 160) + 1
    return np.asarray(cv2.dilate(opened, np.ones((reach, reach), np.uint8)) > 0)
