"""Bring a face into the light of the photo that it goes into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, blur
from visagist.photo.colour import lab_to_rgb, linear_to_srgb, rgb_to_lab, srgb_to_linear

__all__ = ["match_light", "read", "relight"]

_FEWEST = 64.0
"""Pixels of skin below which there is nothing to measure."""
_CONTRAST = (0.85, 1.15)
"""How far contrast may be changed: more would be another light, not a correction."""
_TINT = 3.0
"""Largest gain of a channel in linear light."""
_CELLS = 32
"""Of a crop's side, in which its light is looked at."""
_LIGHT = 0.1
"""Standard deviation, in sides of the crop, above which a difference counts as light."""
_LIGHT_SHARE = np.array([0.85, 0.9, 0.9], np.float32)
"""How much of it becomes the target's: of L*, and of the colours a* and b*."""
_DETAIL = (0.6, 1.0)
"""Factor of what is finer than light, by how much darker it becomes. Never above 1: details that
are enlarged with the brightness are what makes a dark face on a bright one a print."""
_DARKEST = 4.0
"""L* below which no factor is taken from it."""


def match_light(image: Floats, target: NDArray[np.uint8], skin: Floats) -> Floats:
    """Give a swapped face the target's mean colour and contrast of the skin.

    Each channel is multiplied in linear light, as another lamp would do (von Kries 1902), so that
    the mean of the skin becomes the target's and what is dark stays dark and free of tints; then
    mean and standard deviation of L* are set to the target's, the deviation by 15 % at most. The
    neck and the ears stay the target's, so that a face of another colour would be a mask; this
    makes the swapped face follow the target's skin colour as well as its light, which one picture
    cannot tell apart.

    Args:
        image: (S, S, 3) levels 0..255, the network's picture.
        target: (S, S, 3) uint8 crop that it was made from.
        skin: (S, S) weight 0..1 of the pixels that are compared: skin that will be pasted.

    Returns:
        (S, S, 3) float32 levels 0..255; ``image`` itself where there is too little skin.
    """
    if float(skin.sum()) < _FEWEST:
        return image
    weights = (skin / skin.sum())[..., None].astype(np.float32)
    ours = srgb_to_linear(np.clip(image, 0, 255) / np.float32(255))
    wanted = (srgb_to_linear(target) * weights).sum((0, 1))
    gain = np.clip(wanted / np.maximum((ours * weights).sum((0, 1)), 1e-4), 1 / _TINT, _TINT)
    lab = rgb_to_lab(linear_to_srgb((ours * gain).astype(np.float32)))
    mean, spread = _moments(lab[..., 0], weights[..., 0])
    target_mean, target_spread = _moments(rgb_to_lab(target)[..., 0], weights[..., 0])
    factor = float(np.clip(target_spread / max(spread, 1e-3), *_CONTRAST))
    lab[..., 0] = (lab[..., 0] - mean) * factor + target_mean
    return lab_to_rgb(lab) * np.float32(255)


def relight(
    face: Floats,
    before: Floats,
    skin: Floats,
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
) -> Floats:
    """A face laid on another, with the coarse light of that one and its own details, in Lab.

    Args:
        face: (N, 3) levels 0..255 of the face that is laid on, at the pixels named.
        before: (N, 3) levels of what is there.
        skin: (S, S) weight of the pixels in which light is seen: bare skin in both.
        rows: (N,) of the pixels.
        columns: (N,).

    Returns:
        (N, 3) float32 levels 0..255; ``face`` itself where there is too little skin.
    """
    weight = skin[rows, columns]
    if float(weight.sum()) < _FEWEST:
        return face
    own, wanted = (rgb_to_lab(levels / np.float32(255)) for levels in (face, before))
    place = (rows, columns, skin.shape[0])
    light, target_light = (_coarse(lab, weight, *place) for lab in (own, wanted))
    mean, target_mean = ((lab * weight[:, None]).sum(0) / weight.sum() for lab in (own, wanted))
    kept = 1 - _LIGHT_SHARE
    lit = target_light * _LIGHT_SHARE + (light - mean + target_mean) * kept
    factor = np.clip(lit[:, :1] / np.maximum(light[:, :1], _DARKEST), *_DETAIL)
    made = (lit + (own - light) * factor).astype(np.float32)
    return lab_to_rgb(made) * np.float32(255)


def _coarse(
    values: Floats,
    weight: Floats,
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
    size: int,
) -> Floats:
    """(N, C) weighted local mean of (N, C) values at pixels of an (S, S) crop.

    It is made of sums over cells, blurred; far from any weight it is the mean of all.
    """
    cell = (rows * _CELLS // size) * _CELLS + columns * _CELLS // size
    planes = [np.bincount(cell, weight, _CELLS**2)]
    planes += [np.bincount(cell, weight * channel, _CELLS**2) for channel in values.T]
    grid = np.stack(planes, 1).reshape(_CELLS, _CELLS, -1).astype(np.float32)
    grid = blur(grid, _LIGHT * _CELLS)
    little = np.float32(0.03 * (size / _CELLS) ** 2)
    mean = (values * weight[:, None]).sum(0) / weight.sum()
    local = (grid[..., 1:] + little * mean) / (grid[..., :1] + little)
    places = np.stack([columns, rows], 1) + np.float32(0.5)
    return read(np.asarray(local, np.float32), places * np.float32(_CELLS / size))


def read(image: NDArray[np.uint8] | Floats, places: NDArray[np.floating]) -> Floats:
    """(N, C) levels of an (H, W, C) picture at (N, 2) places x, y; bilinear, the border goes on."""
    height, width, channels = image.shape
    x = np.clip(places[:, 0] - np.float32(0.5), 0, width - 1.001)
    y = np.clip(places[:, 1] - np.float32(0.5), 0, height - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    along, down = (x - left)[:, None], (y - top)[:, None]
    flat = image.reshape(-1, channels)
    first = top * width + left

    def level(step: int) -> Floats:
        return np.asarray(flat.take(first + step, axis=0), np.float32)

    upper = level(0) * (1 - along) + level(1) * along
    lower = level(width) * (1 - along) + level(width + 1) * along
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _moments(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and standard deviation."""
    mean = float((values * weights).sum())
    return mean, float(np.sqrt((((values - mean) ** 2) * weights).sum()))
