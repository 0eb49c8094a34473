"""From linear light to the bytes of a photo: exposure, white balance, blur, noise, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.corpus.heads.drawing import Picture
from visagist.corpus.heads.pixels import blur, resized
from visagist.face.parts import Part

Floats = NDArray[np.float32]
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, slots=True)
class Development:
    """What the camera and the file do to a picture.

    Attributes:
        skin_level: linear luminance that the skin is exposed to.
        white: (3,) gains of the white balance.
        contrast: exponent around middle grey.
        blur: standard deviation in pixels of the crop.
        detail: 0..1, the picture was this share of the crop's size.
        noise: standard deviation at middle grey, of 0..1 in sRGB.
        jpeg: quality, 0 for none.
        seed: of the noise.
    """

    skin_level: float = 0.22
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    blur: float = 0.0
    detail: float = 1.0
    noise: float = 0.0
    jpeg: int = 0
    seed: int = 0


def exposure(picture: Picture, level: float) -> float:
    """The gain that brings the visible skin to a mean luminance."""
    there = picture.parts == Part.SKIN
    if there.sum() < 50:
        there = picture.parts != Part.BACKGROUND
    if not there.any():
        return 1.0
    luminance = picture.colour[there] @ _LUMA
    return level / max(float(np.sort(luminance)[: max(int(0.95 * luminance.size), 1)].mean()), 1e-4)


def develop(picture: Picture, behind: Floats, look: Development, gain: float) -> NDArray[np.uint8]:
    """The picture as a camera would store it.

    Args:
        picture: what was drawn.
        behind: (S, S, 3) linear background, as bright as it shall appear.
        look: the camera.
        gain: exposure of the head, from :func:`exposure`.
    """
    image = behind * (1 - picture.cover[..., None]) + picture.colour * gain
    image = image * np.asarray(look.white, np.float32)
    # Highlights roll off above three quarters, as on film and phones.
    image = np.where(image > 0.7, 0.7 + 0.55 * (1 - np.exp(-(image - 0.7) / 0.55)), image)
    srgb = encode_srgb(np.clip(image, 0, 1))
    if look.contrast != 1.0:
        srgb = np.clip(0.46 + (srgb - 0.46) * look.contrast, 0, 1)
    if look.blur > 0.05:
        srgb = blur(srgb, look.blur)
    if look.detail < 0.98:
        size = srgb.shape[0]
        small = max(round(size * look.detail), 8)
        srgb = resized(resized(srgb, small), size)
    if look.noise > 0:
        random = np.random.default_rng([look.seed, 23])
        grain = random.standard_normal(srgb.shape, np.float32)
        grain = 0.6 * grain + 0.4 * grain.mean(2, keepdims=True)
        srgb = srgb + look.noise * grain * (0.5 + 0.7 * np.sqrt(np.clip(srgb, 0, 1)))
    out = np.asarray(np.round(255 * np.clip(srgb, 0, 1)), np.uint8)
    if look.jpeg:
        stream = io.BytesIO()
        Image.fromarray(out).save(stream, "JPEG", quality=look.jpeg, subsampling=2)
        out = np.asarray(Image.open(stream))
    return out


def encode_srgb(linear: Floats) -> Floats:
    """SRGB 0..1 of linear 0..1."""
    low = 12.92 * linear
    high = 1.055 * np.power(np.maximum(linear, 1e-6), np.float32(1 / 2.4)) - 0.055
    return np.where(linear <= 0.0031308, low, high).astype(np.float32)
