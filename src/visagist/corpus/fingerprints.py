"""What a crop looks like in 64 bits and in 256 bytes: enough to find its near-duplicates by.

The bits are the signs of low frequencies of the canonical grey view (a perceptual hash after
Zauner 2010). Mirroring a picture negates the cosines that are odd across it, so the bits of the
mirror image are known without looking at it.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError

THUMBNAIL = 16
"""Side of the grey thumbnail."""
_SIDE = 32
_BITS = 64


def canonical_grey(image: NDArray[np.uint8], zoom: float, side: int) -> NDArray[np.float32]:
    """(side, side) luma 0..255 of the canonical crop inside an aligned crop.

    Raises:
        InputError: not a square picture.
    """
    size = image.shape[0]
    if image.ndim != 3 or image.shape[1] != size:
        raise InputError(f"an aligned crop is (S, S, 3), got {image.shape}")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    low = max(0, round(size * (1 - 1 / zoom) / 2))
    grey = grey[low : size - low, low : size - low]
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def fingerprint(image: NDArray[np.uint8], zoom: float) -> int:
    """64 bits of the appearance of an aligned crop (S, S, 3) uint8."""
    coefficients = cv2.dct(canonical_grey(image, zoom, _SIDE))
    rows, columns = _frequencies()
    bits = np.packbits(coefficients[rows, columns] > 0)
    return int.from_bytes(bits.tobytes(), "big")


@lru_cache(maxsize=1)
def mirror_mask() -> int:
    """The bits that mirroring flips: those of cosines odd across the picture."""
    odd = np.packbits(_frequencies()[1] % 2 == 1)
    return int.from_bytes(odd.tobytes(), "big")


@lru_cache(maxsize=1)
def _frequencies() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column frequencies of the 64 bits, lowest first; the mean is left out."""
    rows, columns = np.mgrid[0:12, 0:12].reshape(2, -1)
    order = np.lexsort((columns, rows, rows + columns))[1 : _BITS + 1]
    return rows[order], columns[order]


def thumbnail(image: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    """(16, 16) uint8 grey view of the canonical crop, stretched to the full range."""
    grey = canonical_grey(image, zoom, THUMBNAIL)
    low, high = float(grey.min()), float(grey.max())
    stretched: NDArray[np.uint8] = np.rint((grey - low) * (255 / max(high - low, 1.0))).astype(
        np.uint8
    )
    return stretched
