"""The two image operations that backgrounds, textures and photos share, with their types kept."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def blur(image: NDArray[np.floating], sigma: float) -> Floats:
    """Gaussian blur of (H, W) or (H, W, C); edges are mirrored."""
    return np.asarray(cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), sigma))


def resized(image: NDArray[np.floating], side: int) -> Floats:
    """(side, side) from a square picture: averaged when smaller, cubic when larger."""
    how = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.asarray(image, np.float32), (side, side), interpolation=how))
