"""Bring a swapped face into the light of the photo that it goes into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats
from visagist.photo.colour import lab_to_rgb, linear_to_srgb, rgb_to_lab, srgb_to_linear

__all__ = ["match_light"]

_FEWEST = 64.0
"""Pixels of skin below which there is nothing to measure."""
_CONTRAST = (0.85, 1.15)
"""How far contrast may be changed: more would be another light, not a correction."""
_TINT = 3.0
"""Largest gain of a channel in linear light."""


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


def _moments(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and standard deviation."""
    mean = float((values * weights).sum())
    return mean, float(np.sqrt((((values - mean) ** 2) * weights).sum()))
