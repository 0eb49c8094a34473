"""A corpus' crop cut down to what a recipe asks for: a narrower field, another number of pixels."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from visagist.errors import DataError


def decode_crop(data: bytes) -> Image.Image:
    """The picture of a sample, as its shard keeps it: RGB, JPEG or PNG.

    Raises:
        DataError: the bytes are damaged or no such picture.
    """
    image = _decode(data, ("JPEG", "PNG"))
    return image if image.mode == "RGB" else image.convert("RGB")


def decode_labels(data: bytes) -> Image.Image:
    """A label map, as its shard keeps it: one value a pixel, whether the PNG has a palette or not.

    Raises:
        DataError: the bytes are damaged or no such picture.
    """
    image = _decode(data, ("PNG",))
    if image.mode not in ("L", "P"):
        raise DataError(
            f"a label map of the corpus has the mode {image.mode}, not one byte a pixel"
        )
    return Image.fromarray(np.asarray(image))


def _decode(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
        image.load()
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"a picture of the corpus is damaged ({error})") from error
    return image


def recrop(
    image: Image.Image, zoom: float, *, size: int, to_zoom: float, labels: bool = False
) -> NDArray[np.uint8]:
    """The middle of a crop at another size.

    Args:
        image: square crop.
        zoom: its field of view in canonical crops.
        size: side of the result in pixels.
        to_zoom: field of view of the result, at most ``zoom``.
        labels: a label map, whose values must not be mixed.

    Returns:
        (size, size, 3) or, for label maps, (size, size) uint8. Resampled with an antialiasing filter, and not at
        all where the pixels of both crops fall together.
    """
    box = _box(image.width, zoom, to_zoom)
    if box[2] - box[0] == size and box[0] == int(box[0]):  # nothing to resample
        left, top, right, bottom = (int(v) for v in box)
        return np.asarray(image.crop((left, top, right, bottom)))
    how = Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS
    return np.asarray(image.resize((size, size), how, box=box))


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
