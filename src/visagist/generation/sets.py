"""Sets of real pictures that generated ones are compared with: reference, floor, ruined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from visagist.errors import DataError

Bytes = NDArray[np.uint8]
Box = tuple[int, int, int, int]
BLUR = 1 / 40
"""Standard deviation of the ruined set's blur as a share of the side: 1.6 pixels of 64."""
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True)
class RealSets:
    """Numbers of pictures, no picture in both.

    Attributes:
        reference: what others are compared with.
        floor: as many other pictures drawn alike: what a perfect generator would reach.
    """

    reference: NDArray[np.int64]
    floor: NDArray[np.int64]


def draw(weights: NDArray[np.float64], count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Numbers of ``count`` pictures in the proportions of a training, none of them twice.

    The largest u^(1/w) are a weighted draw without replacement (Efraimidis, Spirakis 2006). Those
    drawn late lean to what is rare in the training, so few should be drawn of many.

    Args:
        weights: (N,) probability of each picture in the training.
        count: how many; fewer where there are not so many.
        seed: of the drawing.
    """
    shown = np.flatnonzero(weights > 0)
    keys = np.log(np.random.default_rng(seed).random(len(shown))) / weights[shown]
    return np.asarray(shown[np.argsort(keys)[::-1][:count]], np.int64)


def draw_sets(weights: NDArray[np.float64], count: int, *, seed: int = 0) -> RealSets:
    """Reference and floor; see :func:`draw`.

    Raises:
        DataError: there are too few pictures; the message says how many sets can have.
    """
    most = int((weights > 0).sum()) // 2
    if not 16 <= count <= most:
        raise DataError(
            f"two sets of {count} cannot be drawn from {len(weights)} pictures; 16 to {most} can"
        )
    drawn = draw(weights, 2 * count, seed=seed)
    return RealSets(drawn[::2], drawn[1::2])  # alternately, so that both lean alike


def ruined(pictures: Bytes) -> Bytes:
    """(N, S, S, 3) blurred pictures: a measure that does not tell them from real ones is blind."""
    blur = ImageFilter.GaussianBlur(BLUR * pictures.shape[1])
    return np.stack([np.asarray(Image.fromarray(p).filter(blur)) for p in pictures])


def reduced(pictures: Bytes, side: int = 16) -> NDArray[np.float32]:
    """(N, side * side * 3) pictures shrunk by averaging: nearness of pixels, not of meaning."""
    shrunk = [
        np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BOX)) for p in pictures
    ]
    return np.stack(shrunk).reshape(len(pictures), -1).astype(np.float32)


def sharpness(pictures: Bytes, box: Box) -> float:
    """Mean squared Laplacian of lightness inside a box, over (N, S, S, 3) pictures.

    Args:
        pictures: uint8.
        box: left, top, right, bottom in pixels, the last two not included; within the picture and
            not at its rim.
    """
    luma = pictures.astype(np.float64) @ _LUMA
    left, top, right, bottom = box
    middle = luma[:, top:bottom, left:right]
    around = (
        luma[:, top - 1 : bottom - 1, left:right]
        + luma[:, top + 1 : bottom + 1, left:right]
        + luma[:, top:bottom, left - 1 : right - 1]
        + luma[:, top:bottom, left + 1 : right + 1]
    )
    return float(((around - 4 * middle) ** 2).mean())
