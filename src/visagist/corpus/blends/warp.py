"""Pictures moved from one face mesh to another, by OpenCV's resampling."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.topology import N_SKIN_POINTS
from visagist.face.warp import extended, field, triangle_map

Floats = NDArray[np.float32]
Picture = TypeVar("Picture", NDArray[np.uint8], NDArray[np.float32])


def sample(image: Picture, where: Floats) -> Picture:
    """Read a picture at the places of a field (bicubic); outside it, its border is mirrored."""
    result = cv2.remap(
        image,
        where[..., 0] - 0.5,
        where[..., 1] - 0.5,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(result, image.dtype)


def warp(image: Picture, mesh: NDArray[np.floating], target: NDArray[np.floating]) -> Picture:
    """Move the face of a square crop from one mesh to another.

    Args:
        image: (S, S, 3) or (S, S) uint8 or float32.
        mesh: (478, 3) of the face in it.
        target: (478, 3) where its points shall lie, same crop.

    Returns:
        Same shape and type.
    """
    size = image.shape[0]
    source, goal = extended(mesh, target, size)
    shown = triangle_map(goal, target[:N_SKIN_POINTS, 2], size)
    return sample(image, field(source, goal, shown))
