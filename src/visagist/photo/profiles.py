"""ICC profiles: from the photo's own colours to sRGB, and edits back again.

Working pixels are always sRGB, so that styles and networks see one kind of colour. A photo in a
wider space (Display P3, Adobe RGB) would lose its strongest colours if it were saved from them.
So the photo keeps its pixels in its own space as well, and saving adds only the *edit*:

    saved = own + (to_own(edited sRGB) - to_own(original sRGB))

Pixels nobody touched stay exactly as they were, colours outside sRGB included, and there is no seam
at the border of an edit. Profiles that act like sRGB are recognised by what they do, not by name.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

__all__ = ["Profile", "ProfileError", "add_edit", "srgb_profile_bytes"]

# Colours both spaces have stay put; the black point is matched, as in most photo editors.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FAULTS = (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError, SystemError)


class ProfileError(Exception):
    """The profile is damaged or for another kind of picture; caught inside this room."""


class Profile:
    """An ICC profile that can be read, for pictures of Pillow mode ``mode``.

    Attributes:
        data: the profile's bytes.
        mode: "RGB", "L" or "CMYK".
        is_srgb: whether it is RGB and its conversion to sRGB changes no colour by more than one
            level of 255.
    """

    def __init__(self, data: bytes) -> None:
        """Parse a profile.

        Raises:
            ProfileError: it is damaged, or its colour space is none of RGB, grey and CMYK.
        """
        self.data = data
        try:
            self._profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
            space = self._profile.profile.xcolor_space
        except _FAULTS as error:
            raise ProfileError(str(error)) from error
        if space not in _MODES:
            raise ProfileError(f"colour space {space.strip()!r}")
        self.mode = _MODES[space]
        self.is_srgb = self.mode == "RGB" and self._is_srgb()

    def to_srgb(self, image: Image.Image) -> Image.Image:
        """The picture, of mode ``self.mode``, in sRGB."""
        return self._convert(image, self._profile, _srgb_profile(), self.mode, "RGB")

    def from_srgb(self, image: Image.Image) -> Image.Image:
        """An sRGB picture in this profile's space (RGB profiles only)."""
        return self._convert(image, _srgb_profile(), self._profile, "RGB", self.mode)

    def _is_srgb(self) -> bool:
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
        converted = np.asarray(self.to_srgb(Image.fromarray(grid)))
        return bool(np.abs(converted.astype(np.int16) - grid).max() <= 1)

    @staticmethod
    def _convert(
        image: Image.Image,
        source: ImageCms.ImageCmsProfile,
        target: ImageCms.ImageCmsProfile,
        from_mode: str,
        to_mode: str,
    ) -> Image.Image:
        try:
            transform = ImageCms.buildTransform(source, target, from_mode, to_mode, _INTENT, _FLAGS)
            converted = ImageCms.applyTransform(image, transform)
        except _FAULTS as error:
            raise ProfileError(str(error)) from error
        return cast(Image.Image, converted)


def add_edit(
    profile: Profile,
    own: NDArray[np.uint8],
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Carry an edit made in sRGB over to the photo's own space.

    Args:
        profile: the photo's RGB profile.
        own: uint8 ``(H, W, 3)`` in the profile's space.
        before: uint8 ``(H, W, 3)`` sRGB, the same photo before the edit.
        after: uint8 ``(H, W, 3)`` sRGB, after the edit.

    Returns:
        uint8 ``(H, W, 3)`` in the profile's space, equal to ``own`` wherever before == after.
    """
    changed = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return own
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    edit = _own_levels(profile, after[box]) - _own_levels(profile, before[box])
    out = own.copy()
    out[box] = np.clip(own[box] + edit, 0, 255).astype(np.uint8)
    return out


def srgb_profile_bytes() -> bytes:
    """A small sRGB profile for pictures whose own profile no longer fits (CMYK, grey)."""
    return _srgb_bytes()


def _own_levels(profile: Profile, srgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    image = Image.fromarray(np.ascontiguousarray(srgb))
    return np.asarray(profile.from_srgb(image)).astype(np.int16)


@lru_cache(maxsize=1)
def _srgb_bytes() -> bytes:
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # Bytes 24-35 are the time of creation: fixed, so that saving twice gives the same file.
    data[24:36] = bytes((0x07, 0xE8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    return bytes(data)


@lru_cache(maxsize=1)
def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(_srgb_bytes()))
