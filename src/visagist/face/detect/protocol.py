"""What a face detector is, and what every detector needs: a copy of the photo at working size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import InputError
from visagist.face.types import Detection


@runtime_checkable
class Detector(Protocol):
    """Finds faces. Anything with this method and attribute plugs into :func:`find_faces`.

    Attributes:
        name: short name for reports, for example ``mtcnn``.
    """

    name: str

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces in a photo.

        Args:
            pixels: (H, W, 3) uint8 RGB, upright.

        Returns:
            Detections in photo pixels, best score first; empty when there is no face.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """A photo reduced for detection.

    Attributes:
        image: RGB picture whose longer side is at most what was asked for.
        scale: (x, y) photo pixels per working pixel; the axes differ by the rounding of sizes.
    """

    image: Image.Image
    scale: tuple[float, float]


def check_pixels(pixels: NDArray[np.uint8]) -> None:
    """Refuse anything but a (H, W, 3) uint8 array with at least one pixel.

    Raises:
        InputError: the array has another type or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise InputError(
            f"a detector takes uint8 RGB pixels of shape (height, width, 3), not {pixels.dtype} "
            f"of shape {pixels.shape}; open pictures with Photo.open"
        )


def working_copy(pixels: NDArray[np.uint8], side: int) -> WorkingCopy:
    """Reduce a photo so that its longer side is at most ``side``; smaller photos stay as they are.

    Reduction is antialiased; large photos are first box-averaged by a whole factor
    (``reducing_gap``), so that twelve megapixels cost a few milliseconds.
    """
    check_pixels(pixels)
    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    longest = max(height, width)
    if longest > side:
        size = (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return WorkingCopy(image, (width / image.width, height / image.height))
