"""What a face detector is, and what every detector needs: reduced copies of the photo."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import InputError
from visagist.face.types import Detection


@runtime_checkable
class Detector(Protocol):
    """Finds faces. Anything with this method and attribute plugs into ``find_faces``.

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


def reduced(pixels: NDArray[np.uint8], side: int) -> Image.Image:
    """The photo, averaged down by the whole factor that brings its longer side to ``side`` or more.

    The result's longer side is in [side, 2 side), or the photo's own when that is smaller. Whole
    factors are box averages: antialiased, and several times faster than resampling.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    factor = max(image.size) // side
    return image.reduce(factor) if factor > 1 else image
