"""Near-duplicates: the same picture re-encoded, resized, recoloured, shifted or mirrored.

A crop gets 64 bits, the signs of low frequencies of its canonical grey view (a perceptual hash
after Zauner 2010). Mirroring a picture negates the cosines that are odd across it, so the bits of
the mirror image are known without looking at it. Pictures whose bits differ little are candidates;
whether they are the same picture is then decided by the correlation of small grey thumbnails.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError

THUMBNAIL = 16
"""Side of the grey thumbnail that confirms a candidate."""
_SIDE = 32
_BITS = 64


def canonical_grey(image: NDArray[np.uint8], zoom: float, side: int) -> NDArray[np.float32]:
    """(side, side) luma 0..255 of the canonical crop inside an aligned crop."""
    size = image.shape[0]
    if image.ndim != 3 or image.shape[1] != size:
        raise InputError(f"an aligned crop is (S, S, 3), got {image.shape}")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if zoom > 1:
        inner = size / zoom
        low = round((size - inner) / 2)
        grey = grey[low : size - low, low : size - low]
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def fingerprint(image: NDArray[np.uint8], zoom: float) -> int:
    """64 bits of the appearance of an aligned crop (S, S, 3) uint8."""
    coefficients = cv2.dct(canonical_grey(image, zoom, _SIDE))
    rows, columns = _frequencies()
    bits = np.packbits(coefficients[rows, columns] > 0)
    return int.from_bytes(bits.tobytes(), "big")


def mirrored(bits: int) -> int:
    """The fingerprint of the mirror image."""
    return bits ^ mirror_mask()


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
    stretched = (grey - low) * (255 / max(high - low, 1.0))
    return np.rint(stretched).astype(np.uint8)
