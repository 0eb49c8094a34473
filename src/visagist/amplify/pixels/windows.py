"""The four windows through which the network sees a face: all of it, both eyes and the lips.

Makeup is fine where it is drawn with a pen and broad where it is dusted on. So the whole face is
seen at a quarter of the crop's size, and eyes and lips nearly at its own; a right eye is mirrored,
so that one set of weights knows all eyes. What is painted in a window fades out at its rim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.align import CROP_SIZE
from visagist.face.raster import smoothstep
from visagist.face.topology import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LIPS_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

Floats = NDArray[np.float32]

SIDE = 64
"""Pixels along a side of a window, as the network sees it."""
KINDS = ("face", "eye", "lips")
"""What a window shows; its number is the class that the network is told."""
_EYE, _LIPS = 88.0, 96.0
"""Sides of these windows in pixels of the crop: an eye with brow and wing, a wide smile."""
_ABOVE = 8.0
"""An eye's window reaches so many pixels further up, to the brow."""
_RIM = 8
"""Width in its own pixels over which a window fades out."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the crop.

    Attributes:
        kind: number of a name in ``KINDS``.
        x: left edge in pixels of the crop.
        y: upper edge.
        side: in pixels of the crop.
        mirrored: whether the network sees it from behind.
    """

    kind: int
    x: float
    y: float
    side: float
    mirrored: bool = False

    def cut(self, picture: NDArray[np.generic]) -> Floats:
        """(256, 256, C) crop -> (64, 64, C) float32."""
        image = np.asarray(picture, np.float32)
        if self.side == CROP_SIZE:
            seen = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        else:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            seen = cv2.warpAffine(
                image, self._matrix(), (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        return np.asarray(seen.reshape(SIDE, SIDE, -1), np.float32)

    def put(self, change: Floats) -> Floats:
        """(64, 64, C) -> (256, 256, C), 0 outside the window."""
        size = (CROP_SIZE, CROP_SIZE)
        if self.side == CROP_SIZE:
            wide = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
        else:
            wide = cv2.warpAffine(change, self._matrix(), size, flags=cv2.INTER_LINEAR)
        return np.asarray(wide.reshape(CROP_SIZE, CROP_SIZE, -1), np.float32)

    def _matrix(self) -> NDArray[np.float64]:
        """(2, 3) from the window's pixels to the crop's, with centres at whole numbers."""
        step = self.side / SIDE
        left = self.x + (self.side if self.mirrored else 0)
        across = -step if self.mirrored else step
        return np.array(
            [[across, 0, left + across / 2 - 0.5], [0, step, self.y + step / 2 - 0.5]], np.float64
        )


def windows(mesh: NDArray[np.floating]) -> tuple[Window, ...]:
    """Face, left eye, right eye and lips of a face in the canonical crop.

    Args:
        mesh: (478, 2 or 3) points in pixels of the crop.
    """
    points = np.asarray(mesh, np.float64)[:, :2]

    def square(indices: tuple[int, ...], side: float, up: float = 0.0) -> tuple[float, float]:
        low, high = points[list(indices)].min(0), points[list(indices)].max(0)
        x, y = (low + high) / 2 - side / 2
        return float(x), float(y - up)

    left = square((LEFT_EYE_INNER, LEFT_EYE_OUTER), _EYE, _ABOVE)
    right = square((RIGHT_EYE_INNER, RIGHT_EYE_OUTER), _EYE, _ABOVE)
    return (
        Window(0, 0.0, 0.0, float(CROP_SIZE)),
        Window(1, *left, _EYE),
        Window(1, *right, _EYE, mirrored=True),
        Window(2, *square(LIPS_OUTER, _LIPS), _LIPS),
    )


@lru_cache(maxsize=1)
def _taper() -> Floats:
    """(64, 64, 1): 1 inside, falling to 0 at the rim."""
    from_edge = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]).astype(np.float32)
    line = smoothstep(0.0, float(_RIM), from_edge)
    taper: Floats = np.minimum(line[:, None], line[None, :])[..., None]
    taper.setflags(write=False)
    return taper


def joined(seen: tuple[Window, ...], changes: NDArray[np.float32]) -> Floats:
    """The changes of all windows as one of the crop.

    Args:
        seen: of :func:`windows`, the whole face first.
        changes: (windows, 64, 64, C).

    Returns:
        (256, 256, C): the close views where there are any, the whole face's elsewhere.
    """
    whole = seen[0].put(changes[0])
    total, weight = np.zeros_like(whole), np.zeros((*whole.shape[:2], 1), np.float32)
    for window, change in zip(seen[1:], changes[1:], strict=True):
        # Weights are carried along, so that a rim does not darken what it cuts.
        carried = window.put(np.concatenate([change * _taper(), _taper()], 2))
        total += carried[..., :-1]
        weight += carried[..., -1:]
    close = np.minimum(weight, 1)
    return np.asarray(whole * (1 - close) + total * (close / np.maximum(weight, 1e-6)), np.float32)
