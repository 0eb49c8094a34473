"""Harder test conditions: what a picture loses before it is searched.

Each is a function of a picture and its mesh to a picture and its mesh. Only the searches are made
harder, the enrolled pictures stay as they are: people enrol with care and are seen by chance.
Sizes are relative to the face, so that a condition means the same in a large and a small picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from visagist.face.align import Alignment, crop
from visagist.face.topology import FACE_OVAL, N_SKIN_POINTS

Picture = NDArray[np.uint8]
Mesh = NDArray[np.float32]
Condition = Callable[[Picture, Mesh], tuple[Picture, Mesh]]

_MARGIN = 1.0
"""Face widths kept around the face, enough for a detector to see it as in the whole picture."""
_EYES = ((33, 133), (362, 263))
_NOSE_BRIDGE = 195
_MASK = (150, 178, 190)
_SHADES = (22, 22, 26)


def around(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
    """The part of a picture around the face; conditions work on it to save time."""
    low, high = _box(mesh)
    margin = _MARGIN * _face_width(mesh)
    height, width = pixels.shape[:2]
    x0, y0 = (max(0, int(v)) for v in np.floor(low - margin))
    x1, y1 = (int(v) for v in np.ceil(high + margin))
    part = np.ascontiguousarray(pixels[y0 : min(y1, height), x0 : min(x1, width)])
    return part, _moved(mesh, -x0, -y0)


def low_resolution(face_width: int) -> Condition:
    """The face ``face_width`` pixels wide, then enlarged to what it was; larger stays as it is."""

    def apply(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
        small = _reduced(Image.fromarray(pixels), mesh, face_width)
        return np.asarray(small.resize(pixels.shape[1::-1], Image.Resampling.BICUBIC)), mesh

    return apply


def jpeg(face_width: int, quality: int) -> Condition:
    """The face ``face_width`` pixels wide, stored as JPEG, then enlarged to what it was."""

    def apply(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
        stream = io.BytesIO()
        _reduced(Image.fromarray(pixels), mesh, face_width).save(stream, "JPEG", quality=quality)
        with Image.open(stream) as stored:
            full = stored.resize(pixels.shape[1::-1], Image.Resampling.BICUBIC)
        return np.asarray(full), mesh

    return apply


def blur(sigma: float) -> Condition:
    """A Gaussian blur of ``sigma`` face widths."""

    def apply(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
        soft = ImageFilter.GaussianBlur(sigma * _face_width(mesh))
        return np.asarray(Image.fromarray(pixels).filter(soft)), mesh

    return apply


def roll(degrees: float) -> Condition:
    """The picture turned clockwise around the face.

    With the labelled mesh the alignment takes all of it back but for the resampling; the condition
    is hard only where the face is found anew.
    """

    def apply(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
        low, high = _box(mesh)
        side = max(pixels.shape[:2])
        angle = np.radians(degrees)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = (low + high) / 2
        turned = Alignment(np.column_stack([linear, side / 2 - linear @ centre]), side)
        return crop(pixels, turned), turned.to_crop(mesh)

    return apply


def grey(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
    """Without colour."""
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")), mesh


def mask(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
    """A plain mask over nose, mouth and chin."""
    oval = list(FACE_OVAL)
    points = mesh[oval, :2]
    bridge = mesh[_NOSE_BRIDGE, :2]
    down = mesh[152, :2] - mesh[10, :2]  # chin and top of the oval
    lower = points[(points - bridge) @ down >= 0]
    # in the order of their angle around their middle, the bridge of the nose among them
    lower = np.vstack([lower, bridge])
    around_it = lower - lower.mean(0)
    order = np.argsort(np.arctan2(around_it[:, 1], around_it[:, 0]))
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in lower[order]], fill=_MASK)
    return np.asarray(image), mesh


def sunglasses(pixels: Picture, mesh: Mesh) -> tuple[Picture, Mesh]:
    """Dark glasses over both eyes."""
    centres = [mesh[list(corners), :2].mean(0) for corners in _EYES]
    across = centres[1] - centres[0]
    apart = float(np.hypot(*across))
    down = np.array([-across[1], across[0]]) / apart
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for centre in centres:
        rim = np.outer(np.cos(angles), 0.42 * across) + np.outer(np.sin(angles), 0.3 * apart * down)
        draw.polygon([(float(x), float(y)) for x, y in centre + rim], fill=_SHADES)
    ends = [(float(x), float(y)) for x, y in centres]
    draw.line(ends, fill=_SHADES, width=max(1, round(0.08 * apart)))
    return np.asarray(image), mesh


CONDITIONS = MappingProxyType(
    {
        "face_48px": low_resolution(48),
        "face_32px": low_resolution(32),
        "face_24px": low_resolution(24),
        "blur": blur(0.025),
        "roll_30": roll(30),
        "mask": mask,
        "sunglasses": sunglasses,
        "grey": grey,
        "jpeg_15": jpeg(96, 15),
    }
)
"""Face widths of 48, 32 and 24 pixels; blur of 2.5 % of the face's width; a roll of 30 degrees;
mask and sunglasses; grey; a face of 96 pixels as JPEG of quality 15."""


def _box(mesh: Mesh) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    skin = mesh[:N_SKIN_POINTS, :2]
    return skin.min(0), skin.max(0)


def _face_width(mesh: Mesh) -> float:
    low, high = _box(mesh)
    return float(high[0] - low[0])


def _moved(mesh: Mesh, dx: float, dy: float) -> Mesh:
    moved = mesh.copy()
    moved[:, :2] += np.array([dx, dy], np.float32)
    return moved


def _reduced(image: Image.Image, mesh: Mesh, face_width: int) -> Image.Image:
    scale = min(1.0, face_width / _face_width(mesh))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX) if scale < 1 else image
