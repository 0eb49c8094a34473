"""Bring a swapped face into the light of the photo that it goes into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats
from visagist.photo.colour import lab_to_rgb, rgb_to_lab

__all__ = ["match_light"]

_FEWEST = 64.0
"""Pixels of skin below which there is nothing to measure."""
_SPREAD = (0.8, 1.25)
"""How far contrast and saturation may be changed: more would be another light, not a correction."""


def match_light(image: Floats, target: NDArray[np.uint8], skin: Floats) -> Floats:
    """Give a swapped face the target's mean colour and contrast of the skin.

    Mean and standard deviation of L*, a* and b* under ``skin`` are set to the target's (Reinhard
    et al. 2001, in CIELAB), the deviation by a factor of at most 1.25. The neck and the ears stay
    the target's, so that a face of another colour would be a mask; this makes the swapped face
    follow the target's skin colour as well as its light, which one picture cannot tell apart.

    Args:
        image: (S, S, 3) levels 0..255, the network's picture.
        target: (S, S, 3) uint8 crop that it was made from.
        skin: (S, S) weight 0..1 of the pixels that are compared: skin that will be pasted.

    Returns:
        (S, S, 3) float32 levels 0..255; ``image`` itself where there is too little skin.
    """
    if float(skin.sum()) < _FEWEST:
        return image
    weights = (skin / skin.sum())[..., None]
    ours = rgb_to_lab(np.clip(image, 0, 255) / np.float32(255))
    theirs = rgb_to_lab(target)
    our_mean, our_spread = _moments(ours, weights)
    mean, spread = _moments(theirs, weights)
    factor = np.clip(spread / np.maximum(our_spread, 1e-3), *_SPREAD).astype(np.float32)
    return lab_to_rgb((ours - our_mean) * factor + mean) * np.float32(255)


def _moments(lab: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of each channel."""
    mean = (lab * weights).sum((0, 1))
    variance = ((lab - mean) ** 2 * weights).sum((0, 1))
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)
