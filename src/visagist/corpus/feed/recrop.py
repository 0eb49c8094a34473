"""A corpus' crop cut down to what a recipe asks for: a narrower field, another number of pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from visagist.errors import DataError


def decode_crop(data: bytes, *, reduce: int = 1) -> NDArray[np.uint8]:
    """The picture of a sample, as its shard keeps it: (S, S, 3) RGB from JPEG or PNG.

    Args:
        data: the encoded picture.
        reduce: the side may come out smaller by up to this factor. A JPEG reduced by 2, 4 or 8 is
            decoded in a fraction of the time, and loses less than by averaging pixels.

    Raises:
        DataError: the bytes are damaged or no such picture.
    """
    return np.asarray(_decode(data, ("JPEG", "PNG"), reduce).convert("RGB"))


def decode_labels(data: bytes) -> NDArray[np.uint8]:
    """A label map (S, S), as its shard keeps it, whether the PNG has a palette or not.

    Raises:
        DataError: the bytes are damaged or no such picture.
    """
    image = _decode(data, ("PNG",))
    if image.mode not in ("L", "P"):
        raise DataError(
            f"a label map of the corpus has the mode {image.mode}, not one byte a pixel"
        )
    return np.asarray(image)


def _decode(data: bytes, formats: tuple[str, ...], reduce: int = 1) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
        if reduce > 1 and image.format == "JPEG":
            # rounded up, because draft takes the largest reduction that is not smaller than this
            side = -(-min(image.size) // reduce)
            image.draft("RGB", (side, side))
        image.load()
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"a picture of the corpus is damaged ({error})") from error
    return image


def reduction(side: int, zoom: float, *, size: int, to_zoom: float) -> int:
    """Whole factor by which a crop of ``side`` pixels can be reduced before it is recropped."""
    return max(1, int(side * min(1.0, to_zoom / zoom) / size + 1e-6))


def recrop(
    image: NDArray[np.uint8], zoom: float, *, size: int, to_zoom: float, labels: bool = False
) -> NDArray[np.uint8]:
    """The middle of a crop at another size.

    Args:
        image: (S, S, 3) square crop or (S, S) label map.
        zoom: its field of view in canonical crops.
        size: side of the result in pixels.
        to_zoom: field of view of the result, at most ``zoom``.
        labels: a label map, whose values must not be mixed.

    Returns:
        (size, size, 3) or (size, size) uint8: reduced by a whole factor, then bicubic; not
        resampled at all where the pixels of both crops fall together.
    """
    factor = 1 if labels else reduction(len(image), zoom, size=size, to_zoom=to_zoom)
    if factor > 1:
        side = -(-len(image) // factor)
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    left, _, right, _ = _box(len(image), zoom, to_zoom)
    if right - left == size and left == int(left):
        return image[int(left) : int(right), int(left) : int(right)]
    scale = (right - left) / size
    # cv2 counts pixel centres from 0, we from .5.
    shift = left + scale / 2 - 0.5
    matrix = np.array([[scale, 0, shift], [0, scale, shift]])
    how = cv2.INTER_NEAREST if labels else cv2.INTER_CUBIC
    flags = how | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def recrop_points(
    points: NDArray[np.float32], side: int, zoom: float, *, size: int, to_zoom: float
) -> NDArray[np.float32]:
    """Points of a crop of ``side`` pixels in the recropped one; z is scaled."""
    left, _, right, _ = _box(side, zoom, to_zoom)
    scale = size / (right - left)
    moved: NDArray[np.float32] = points * np.float32(scale)
    moved[..., :2] -= np.float32(left * scale)
    return moved


def _box(side: int, zoom: float, to_zoom: float) -> tuple[float, float, float, float]:
    margin = side / 2 * (1 - min(1.0, to_zoom / zoom))
    margin = round(margin) if abs(margin - round(margin)) < 1e-3 else margin
    return (margin, margin, side - margin, side - margin)
