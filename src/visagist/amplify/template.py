"""A style from one photo of a made-up face, of which there is no bare photo.

A look needs the face before. Here it is estimated: what bare faces look like at each place of the
atlas, relative to their own skin, is known (:class:`BareFaces`), and the style is how the photo
differs from that. Lips are red without lipstick and lids dark without shadow, so a difference
counts only as far as it leaves the natural spread (a non-negative garrote, Breiman 1995, on the
local Mahalanobis distance): a bare face gives hardly any style. Both halves of the face are taken
together, which halves what is left of the photo's own light.

The look made this way is like a registered pair to all backends. What it cannot hold: the face's
own features where they are unusual (freckles, a beard, heavy brows) count as makeup, and makeup
within the natural spread (a nude lipstick, an even foundation) is lost. The forehead is left out.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import CropFace, Look
from visagist.amplify.layers import Canvas
from visagist.amplify.lift import ATLAS_SIZE, atlas_points, sample, warp
from visagist.amplify.register import only_face
from visagist.errors import DataError, FaceError
from visagist.face.align import CROP_SIZE, align, crop
from visagist.face.find import find_faces
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.photo.colour import lab_to_rgb, rgb_to_lab
from visagist.photo.files import write_atomically

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

ESTIMATED = "one photo without its before: makeup that could be a bare face's own colour is lost"
"""What a person should know who learns from a photo alone."""

FILE = "bare_faces.npz"
_STEP = 4
"""The atlas of bare faces has a quarter of the side; it is smooth."""
_LEAST_FACING = 0.2
_LEAST_SPREAD = 2.0
"""CIE Lab; noise and wrong meshes alone do as much."""
_LEAST_SEEN = 20
"""Faces that show a place, below which nothing is known of it."""
NATURAL = 1.0
"""Mean squared difference, in natural spreads, that counts for nothing."""
_NEAR = 3.0
"""Texels over which that mean is taken."""


@dataclass(frozen=True, slots=True)
class BareFaces:
    """What bare faces look like by place.

    Attributes:
        mean: (A, A, 3) CIE Lab relative to the median of the face's own skin.
        spread: (A, A, 3) standard deviation over people, of the middle four fifths of them.
        known: (A, A) 0 or 1.
    """

    mean: Floats
    spread: Floats
    known: Floats


def skin_colour(lab: Floats, canvas: Canvas) -> Floats:
    """(3,) median of a face's skin, without lips, eyes and brows.

    Raises:
        FaceError: no skin is in the picture.
    """
    skin = canvas.masks["skin"] > 0.5
    if not skin.any():
        raise FaceError("the face shows no skin; its colour cannot be known")
    return np.asarray(np.median(lab[skin], axis=0), np.float32)


def relative_colours(canvas: Canvas, *, step: int = 1) -> tuple[Floats, Floats]:
    """A face in the atlas: (A, A, 3) CIE Lab relative to its skin, and (A, A) 0..1 how well seen.

    Args:
        canvas: the face.
        step: every how many texels.

    Raises:
        FaceError: no skin is in the picture.
    """
    lab = rgb_to_lab(canvas.crop)
    if step > 1:  # texels are larger than pixels
        lab = np.asarray(cv2.GaussianBlur(lab, (0, 0), step / 3), np.float32)
    places, _ = warp(atlas_points(), canvas.mesh, ATLAS_SIZE)
    _, facing = warp(canvas.mesh, atlas_points(), CROP_SIZE)
    seen = np.clip(facing / _LEAST_FACING, 0, 1) * canvas.allowed
    places = np.ascontiguousarray(places[step // 2 :: step, step // 2 :: step])
    found = sample(np.concatenate([lab - skin_colour(lab, canvas), seen[..., None]], 2), places)
    return found[..., :3], found[..., 3]


def measure_bare_faces(
    faces: Iterable[CropFace], progress: Callable[[int], None] = lambda done: None
) -> BareFaces:
    """Mean and natural spread over bare faces, the same on both halves of the face.

    Raises:
        DataError: there are too few faces.
    """
    seen: list[tuple[Floats, Floats]] = []
    for done, face in enumerate(faces, 1):
        seen.append(relative_colours(Canvas(face.crop, face.mesh), step=_STEP))
        progress(done)
    if len(seen) < _LEAST_SEEN:
        raise DataError(
            f"what bare faces look like takes at least {_LEAST_SEEN} of them, got {len(seen)}"
        )
    colours = np.stack([c for c, _ in seen] + [c[:, ::-1] for c, _ in seen])
    shown = np.stack([w for _, w in seen] + [w[:, ::-1] for _, w in seen]) > 0.9
    known = shown.sum(0) >= 2 * _LEAST_SEEN
    colours[~shown] = np.nan
    colours[:, ~known] = 0
    # Some of the faces wear makeup, have beards or hair on the forehead: the tails do not count.
    low, middle, high = np.nanquantile(colours, (0.1, 0.5, 0.9), axis=0)
    spread = np.maximum((high - low) / 2.563, _LEAST_SPREAD)
    return BareFaces(*(np.asarray(part, np.float32) for part in (middle, spread, known)))


def save_bare_faces(bare: BareFaces, path: Path) -> None:
    """Write them in half precision."""
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        mean=bare.mean.astype(np.float16),
        spread=bare.spread.astype(np.float16),
        known=bare.known > 0.5,
    )
    write_atomically(path, packed.getvalue(), overwrite=True)


@lru_cache(maxsize=1)
def bundled_bare_faces() -> BareFaces:
    """Those of generated training faces; ``benchmarks/bare_faces.py`` makes the file."""
    with resources.files(__package__).joinpath(FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return BareFaces(*(data[name].astype(np.float32) for name in ("mean", "spread", "known")))


def style_of(canvas: Canvas, bare: BareFaces, *, natural: float = NATURAL) -> Floats:
    """(A, A, 3) CIE Lab that makeup adds to a face, by what bare faces look like.

    Args:
        canvas: the made-up face.
        bare: what is natural.
        natural: mean squared difference, in natural spreads, that counts for nothing.

    Raises:
        FaceError: no skin is in the picture.
    """
    colours, seen = relative_colours(canvas)
    mean, spread, known = (_full(part) for part in (bare.mean, bare.spread, bare.known))
    weight = seen * known * _below_forehead()
    both = np.stack([weight, weight[:, ::-1]])[..., None]
    apart = colours - mean
    sides = np.stack([apart, apart[:, ::-1]])
    # Little of a side that is hardly seen, and nothing where neither is.
    joined = (both * sides).sum(0) / np.maximum(both.sum(0), 1e-6)
    known_here = both.max(0)
    distance = ((joined / spread) ** 2).mean(2, keepdims=True) * known_here
    near = _blurred(distance) / np.maximum(_blurred(known_here), 1e-3)
    keep = np.clip(1 - natural / np.maximum(near, 1e-6), 0, 1)
    return np.asarray(keep * joined * known_here, np.float32)


@lru_cache(maxsize=1)
def _below_forehead() -> Floats:
    """(A, 1) 0..1: from the brows down; above, hats, fringes and their shadows look like paint."""
    top = float(atlas_points()[[105, 334], 1].min())
    rows = np.arange(ATLAS_SIZE, dtype=np.float32)[:, None] + np.float32(0.5)
    return np.asarray(np.clip((rows - (top - 16)) / 12, 0, 1), np.float32)


def _full(field: Floats) -> Floats:
    size = (ATLAS_SIZE, ATLAS_SIZE)
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _blurred(field: Floats) -> Floats:
    blurred = cv2.GaussianBlur(np.ascontiguousarray(field), (0, 0), _NEAR)
    return np.asarray(blurred.reshape(field.shape), np.float32)


def template_look(face: CropFace, bare: BareFaces | None = None) -> Look:
    """A made-up face as a look: the photo is its after, its before is estimated.

    Args:
        face: made up.
        bare: what bare faces look like; the bundled measurement by default.

    Raises:
        FaceError: no skin is in the picture.
    """
    canvas = Canvas(face.crop, face.mesh)
    added = canvas.bring(style_of(canvas, bare or bundled_bare_faces()))
    added *= (canvas.seen * canvas.allowed)[..., None]
    changed = np.abs(added).max(2, keepdims=True) > 1e-3
    estimated = np.rint(lab_to_rgb(rgb_to_lab(face.crop) - added) * 255)
    before = np.where(changed, estimated, face.crop).astype(np.uint8)
    return Look(face.key, before, face.crop, np.asarray(face.mesh, np.float32), canvas.seen)


def open_template(
    path: Path,
    *,
    bare: BareFaces | None = None,
    find: Callable[[Bytes], list[Face]] = find_faces,
) -> Look:
    """A photo of one made-up person as a look.

    Args:
        path: of the photo.
        bare: what bare faces look like; the bundled measurement by default.
        find: gives the faces of a photo.

    Raises:
        PairFaceError: it shows nobody, several people, or a face that its edge cuts.
        PhotoError: it cannot be read.
    """
    pixels = Photo.open(path).pixels
    mesh = only_face(pixels, str(path), find=find)[0].mesh
    alignment = align(mesh)
    return template_look(
        CropFace(path.stem, crop(pixels, alignment), alignment.to_crop(mesh)), bare
    )
