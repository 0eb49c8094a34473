"""The photo: upright sRGB pixels with everything needed to save them again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.photo.decode import Decoded, decode
from visagist.photo.encode import Content, Encoding, Subsampling, encode
from visagist.photo.files import read_bytes, write_atomically
from visagist.photo.formats import for_suffix, named
from visagist.photo.limits import Limits
from visagist.photo.profiles import Profile, add_edit

__all__ = ["Photo"]

Bytes = NDArray[np.uint8]
Source = str | Path | bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """Pixels as decoded, in sRGB and in the photo's own wider colour space, both ``(H, W, 3)``."""

    srgb: Bytes
    own: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo in memory. It never changes; edits make a new one with ``with_pixels``.

    Attributes:
        pixels: uint8 ``(H, W, 3)`` RGB in sRGB, upright, read-only.
        alpha: uint8 ``(H, W)``, 255 opaque, or None; read-only, kept apart and restored on saving.
        format: "JPEG", "PNG", "WebP", "AVIF", "TIFF", "BMP", "HEIC", or None for an array.
        icc: the ICC profile that saved files carry, or None (which means sRGB).
        exif: EXIF as a TIFF block with orientation 1, no thumbnail, *with* any location; or None.
        xmp: XMP packet or None.
        source: the file it came from, or None.
        warnings: one sentence for each thing that was changed or left out on reading.
    """

    pixels: Bytes
    alpha: Bytes | None = None
    format: str | None = None
    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    source: Path | None = None
    warnings: tuple[str, ...] = ()
    _own: _Own | None = field(default=None, repr=False)

    @classmethod
    def open(cls, source: Source, limits: Limits | None = None) -> Photo:
        """Read a photo from a path, or from the bytes of a file.

        Raises:
            PhotoError: cannot be read; its subclasses PhotoFormatError, PhotoTooLargeError and
                PhotoDamagedError say why.
            MissingExtraError: HEIC without the extra.
        """
        return cls._read(source, limits or Limits(), None)

    @classmethod
    def preview(cls, source: Source, max_side: int, limits: Limits | None = None) -> Photo:
        """Read a photo shrunk to at most ``max_side`` pixels on its longer side.

        Large JPEGs are decoded at a fraction of their size, several times faster than ``open``.
        Pixel (x, y) of the preview is at (x, y) * photo.width / preview.width of the photo.

        Raises:
            PhotoError: as for ``open``.
            InputError: ``max_side`` below 1.
        """
        if max_side < 1:
            raise InputError(f"max_side must be at least 1 pixel, got {max_side}.")
        return cls._read(source, limits or Limits(), max_side)

    @classmethod
    def from_array(cls, rgb: Bytes, alpha: Bytes | None = None) -> Photo:
        """A photo from sRGB pixels, without metadata. The arrays are not copied.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            alpha: uint8 ``(H, W)``, 255 opaque.

        Raises:
            InputError: wrong shape or type.
        """
        pixels = _checked(rgb, "pixels")
        if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != pixels.shape[:2]):
            raise InputError(
                f"alpha must be uint8 of shape {pixels.shape[:2]}, got {alpha.dtype} {alpha.shape}."
            )
        return cls(pixels, None if alpha is None else _read_only(alpha))

    @property
    def width(self) -> int:
        """Width in pixels, upright."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels, upright."""
        return int(self.pixels.shape[0])

    def with_pixels(self, new: Bytes) -> Photo:
        """The same photo with other pixels: alpha, metadata, source and warnings stay.

        Args:
            new: uint8 ``(H, W, 3)`` sRGB of the same size; not copied.

        Raises:
            InputError: wrong shape or type.
        """
        pixels = _checked(new, "pixels")
        if pixels.shape != self.pixels.shape:
            raise InputError(f"new pixels are {pixels.shape}, the photo is {self.pixels.shape}.")
        return replace(self, pixels=pixels)

    def to_bytes(
        self,
        format: str | None = None,
        *,
        quality: int = 95,
        subsampling: Subsampling = "4:4:4",
        lossless: bool = False,
        keep_gps: bool = False,
    ) -> bytes:
        """The photo as the bytes of a file.

        Colours: a photo with an RGB profile is saved in that profile, unedited pixels exactly as
        they were; see ``profiles``. Transparency is laid over white in JPEG and BMP.

        Args:
            format: "jpeg", "png", ...; by default the format it came in, or PNG.
            quality: 1..100, see ``Encoding``.
            subsampling: colour resolution of JPEG and AVIF.
            lossless: exact WebP.
            keep_gps: keep the location in EXIF, and XMP (which may hold one too).

        Raises:
            PhotoFormatError: unknown format.
            PhotoWriteError: the format cannot hold this picture.
            InputError: quality or subsampling out of range.
        """
        entry = named(format or self.format or "PNG")
        encoding = Encoding(quality=quality, subsampling=subsampling, lossless=lossless)
        content = Content(self._own_pixels(), self.alpha, self.icc, self.exif, self.xmp)
        return encode(content, entry, encoding, keep_gps=keep_gps)

    def save(
        self,
        path: str | Path,
        *,
        quality: int = 95,
        subsampling: Subsampling = "4:4:4",
        lossless: bool = False,
        keep_gps: bool = False,
        overwrite: bool = False,
        format: str | None = None,
    ) -> None:
        """Write the photo, all or nothing; the format follows the suffix unless given.

        Raises:
            PhotoFormatError: unknown suffix or format; the message names the allowed ones.
            PhotoWriteError: the file exists and ``overwrite`` is False, or it cannot be written.
            InputError: quality or subsampling out of range.
        """
        path = Path(path)
        entry = for_suffix(path) if format is None else named(format)
        data = self.to_bytes(
            entry.name,
            quality=quality,
            subsampling=subsampling,
            lossless=lossless,
            keep_gps=keep_gps,
        )
        write_atomically(path, data, overwrite=overwrite)

    @classmethod
    def _read(cls, source: Source, limits: Limits, max_side: int | None) -> Photo:
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls._from_decoded(decode(bytes(source), limits, max_side=max_side), None)
        path = Path(source)
        data = read_bytes(path, max_bytes=limits.max_bytes)
        return cls._from_decoded(decode(data, limits, max_side=max_side), path)

    @classmethod
    def _from_decoded(cls, found: Decoded, path: Path | None) -> Photo:
        return cls(
            pixels=found.pixels,
            alpha=found.alpha,
            format=found.format,
            icc=found.icc,
            exif=found.exif,
            xmp=found.xmp,
            source=path,
            warnings=found.warnings,
            _own=None if found.own is None else _Own(found.pixels, found.own),
        )

    def _own_pixels(self) -> Bytes:
        """Pixels in the space of ``icc``."""
        if self._own is None or self.icc is None:
            return self.pixels
        if self.pixels is self._own.srgb:
            return self._own.own
        return add_edit(Profile(self.icc), self._own.own, self._own.srgb, self.pixels)


def _checked(pixels: Bytes, name: str) -> Bytes:
    """A read-only view of an array that is a picture."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise InputError(
            f"{name} must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}."
        )
    return _read_only(pixels)


def _read_only(array: Bytes) -> Bytes:
    view = array.view()
    view.setflags(write=False)
    return view
