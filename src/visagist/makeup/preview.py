"""A sheet that shows every style, on a photo or, where there is none, on a drawn face.

The drawn face is a diagram: the canonical mesh filled with the colours of the reference skin that
styles are written for. It belongs to nobody, needs no network, and shows where each product goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.errors import NoFaceError
from visagist.face import topology
from visagist.face.align import crop
from visagist.face.find import find_faces
from visagist.face.raster import Floats, blur, catmull_rom, fill
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import Style
from visagist.photo.sheet import grid

__all__ = ["drawn_face", "style_sheet"]

_SIDE = 512
_COLUMNS = 4

# Colours of the drawing, sRGB; the skin is the reference skin of style files (Lab 66, 14, 18).
_PAPER = (226, 222, 216)
_SKIN = (196, 150, 128)
_LIPS = (172, 108, 102)
_BROW = (108, 84, 70)
_LASH = (92, 66, 56)
_WHITE = (232, 226, 220)
_IRIS = (96, 74, 54)
_PUPIL = (28, 22, 20)


def style_sheet(
    styles: Sequence[Style], photo: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """A grid with the bare face and every style on it.

    Args:
        styles: what to show.
        photo: (H, W, 3) uint8 RGB with a face, of which the largest is shown; a drawing if None.

    Returns:
        (height, width, 3) uint8.

    Raises:
        NoFaceError: the photo shows no face.
        ModelError: a network that finds faces is missing or damaged.
    """
    if photo is None:
        picture, mesh = drawn_face()
    else:
        faces = find_faces(photo)
        if not faces:
            raise NoFaceError("no face was found in the photo; use one with a clearly visible face")
        alignment = faces[0].alignment(_SIDE)
        picture, mesh = crop(photo, alignment), alignment.to_crop(faces[0].mesh)
    pictures = [picture] + [retouch(picture, mesh, style) for style in styles]
    captions = ["bare face"] + [style.name for style in styles]
    return grid(pictures, captions, columns=_COLUMNS, cell=_SIDE // 2)


@cache
def drawn_face() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The diagram, (512, 512, 3) uint8, and its (478, 3) mesh in pixels; read-only."""
    mesh = topology.canonical_points() * (_SIDE / 256)
    points = mesh[:, :2]
    image = np.empty((_SIDE, _SIDE, 3), np.float32)
    image[:] = _PAPER

    def paint(polygon: Floats, colour: tuple[int, int, int], feather: float = 0.5) -> None:
        cover = fill(polygon, _SIDE, _SIDE, feather=feather)[..., None]
        image[:] += cover * (np.asarray(colour, np.float32) - image)

    def outline(indices: Sequence[int]) -> Floats:
        return catmull_rom(points[list(indices)])

    paint(outline(topology.FACE_OVAL), _SKIN, 1.5)
    for upper, lower in (topology.LEFT_BROW, topology.RIGHT_BROW):
        paint(outline([*upper, *lower[::-1]]), _BROW, 3.0)
    paint(outline(topology.LIPS_OUTER), _LIPS, 1.5)
    paint(outline(topology.LIPS_INNER), tuple(c // 2 for c in _LIPS), 1.0)  # type: ignore[arg-type]
    for lid, iris in (
        (topology.LEFT_EYE, topology.LEFT_IRIS),
        (topology.RIGHT_EYE, topology.RIGHT_IRIS),
    ):
        _eye(image, points, lid, iris)
    image *= _shade(mesh)
    picture = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    mesh.setflags(write=False)
    return picture, mesh


def _eye(image: Floats, points: Floats, lid: Sequence[int], iris: Sequence[int]) -> None:
    """An eyeball with iris and pupil, cut off by the lids, and the dark edge of the lashes."""
    edge = catmull_rom(points[list(lid)])
    opening = fill(edge, _SIDE, _SIDE, feather=0.5)
    rim = np.clip(blur(opening, 2.0) * 2.0, 0.0, 1.0)[..., None]
    image += rim * (np.asarray(_LASH, np.float32) - image) * 0.6
    ring = points[list(iris)]
    centre = ring.mean(0)
    radius = float(np.linalg.norm(ring - centre, axis=1).mean())
    ball = np.empty_like(image)
    ball[:] = _WHITE
    rows, columns = np.mgrid[:_SIDE, :_SIDE] + 0.5
    distance = np.hypot(columns - centre[0], rows - centre[1])
    for colour, reach in ((_IRIS, radius), (_PUPIL, radius * 0.42)):
        cover = np.clip(reach - distance + 0.5, 0.0, 1.0).astype(np.float32)[..., None]
        ball += cover * (np.asarray(colour, np.float32) - ball)
    image += opening[..., None] * (ball - image)


def _shade(mesh: Floats) -> Floats:
    """(H, W, 1) light from the front: what turns away from the viewer is a little darker."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    outline = mesh[list(topology.FACE_OVAL), :2]
    centre, half = outline.mean(0), np.ptp(outline, axis=0) / 2
    away = ((columns - centre[0]) / half[0]) ** 2 + ((rows - centre[1]) / half[1]) ** 2
    nose = fill(catmull_rom(mesh[[98, 2, 327, 4], :2]), _SIDE, _SIDE, feather=6.0)
    face = fill(catmull_rom(outline), _SIDE, _SIDE, feather=1.5)
    light: Floats = 1.0 - face * (0.16 * np.clip(away, 0.0, 1.2) + 0.12 * nose)
    return light[..., None]
