"""How much a picture may ask of this machine before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from visagist.errors import InputError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits checked against the header, before any pixel is decoded.

    Memory goes with ``max_pixels``. Measured at 64 million: 0.6 GB for a plain JPEG, 1.3 GB with a
    wide colour profile and a turn, 1.4 GB for WebP or for PNG with alpha and such a profile. A
    server that decodes several photos at a time should lower it.

    Attributes:
        max_bytes: size of the file in bytes. 256 MiB holds an uncompressed 16-bit RGB TIFF of
            44 megapixels; photos from phones are 2 to 30 MiB.
        max_pixels: width times height. 64 million covers the 48 and 50 megapixel photos of
            today's phones and stays below Pillow's own guard, which warns above 89.5 million and
            refuses above 179 million whatever is set here.
        max_side: longest side in pixels. 30 000 lets panoramas pass and refuses the strips of
            1 x 64 000 000 that only an attack contains.
        max_metadata_bytes: size of the EXIF block, of XMP and of the ICC profile, each. Real
            EXIF is under 64 KiB and CMYK profiles are under 3 MiB.
    """

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 30_000
    max_metadata_bytes: int = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_side", "max_metadata_bytes"):
            if getattr(self, name) < 1:
                raise InputError(f"Limits.{name} must be at least 1, got {getattr(self, name)}.")
