"""Pillow's many picture modes brought down to colour (RGB, grey or CMYK) and alpha."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from visagist.errors import PhotoFormatError

__all__ = ["Plain", "to_plain"]

_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True)
class Plain:
    """A picture in one of three kinds of colour, 8 bits per channel.

    Attributes:
        colour: mode RGB, L or CMYK, in the colour space of the file.
        alpha: mode L, 255 opaque, or None.
        deep: whether bits were dropped on the way.
    """

    colour: Image.Image
    alpha: Image.Image | None
    deep: bool = False

    def map(self, change: Callable[[Image.Image], Image.Image]) -> Plain:
        """The same change of size or orientation made to colour and alpha."""
        alpha = None if self.alpha is None else change(self.alpha)
        return Plain(change(self.colour), alpha, self.deep)


def to_plain(image: Image.Image, *, white: int = 65535) -> Plain:
    """Split a decoded picture into colour and alpha.

    Args:
        image: loaded, of any mode.
        white: the level that means white where the mode has 16 bits; 4095 in 12-bit TIFFs.

    Raises:
        PhotoFormatError: 32-bit samples, which are measurements rather than a photo.
    """
    mode = image.mode
    if mode in _SIXTEEN or (mode == "I" and image.format == "PNG"):
        return _from_sixteen(image, white)
    if mode in ("I", "F"):
        raise PhotoFormatError("Pictures with 32 bits per channel: save it with 8 or 16 first.")
    if mode in _WITH_ALPHA or "transparency" in image.info:
        if mode == "La":
            image = image.convert("LA")
        alpha = image if mode == "RGBA" else image.convert("RGBA")
        colour = alpha.convert("RGB") if mode not in ("LA", "L") else alpha.getchannel("R")
        return Plain(colour, alpha.getchannel("A"))
    if mode in ("RGB", "L", "CMYK"):
        return Plain(image, None)
    if mode == "1":
        return Plain(image.convert("L"), None)
    if mode == "LAB":
        return Plain(_from_lab(image), None)
    return Plain(image.convert("RGB"), None)


def _from_sixteen(image: Image.Image, white: int) -> Plain:
    """16-bit grey: rounded to 8 bits, and its one transparent level made alpha."""
    levels = np.asarray(image).astype(np.uint32)
    grey = ((np.minimum(levels, white) * 255 + white // 2) // white).astype(np.uint8)
    clear = image.info.get("transparency")
    alpha = None
    if isinstance(clear, int):
        alpha = Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8))
    return Plain(Image.fromarray(grey), alpha, deep=True)


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only None with inPlace
    return converted
