"""From any bytes to pixels within limits, or one typed error.

This is the only place in visagist where a picture is decoded. Pillow raises some twenty kinds of
exception on hostile files; all of them end here. Order: size of the file, format by its first
bytes, header checks, Pillow's header, dimensions, and only then pixels.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from visagist.errors import PhotoDamagedError, PhotoTooLargeError
from visagist.photo import exif as exif_block
from visagist.photo.formats import Format, load_heic, sniff
from visagist.photo.headers import check_header, check_size, is_deep
from visagist.photo.limits import Limits
from visagist.photo.modes import Plain, to_plain
from visagist.photo.profiles import Profile, ProfileError, srgb_profile_bytes

__all__ = ["SEVERAL", "Decoded", "decode", "picture_size"]

Bytes = NDArray[np.uint8]

SEVERAL = "The file holds more than one picture; only the first is used."
"""What ``Photo.warnings`` says about an animation, or about a second picture of a phone."""

# What Pillow and its codecs have been seen to raise on damaged files. Warning is here for programs
# that turn warnings into errors; SystemError and RuntimeError come from its C code.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)
_DEEP = (";12", ";16", ";16B", ";16L", ";16N")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a file held, upright and in sRGB.

    Attributes:
        pixels: uint8 ``(H, W, 3)`` sRGB.
        own: uint8 ``(H, W, 3)`` in the space of ``icc``; None where that is the same as sRGB.
        alpha: uint8 ``(H, W)``, 255 opaque; None where the file has none.
        format: name of the format.
        icc: ICC profile that belongs on a saved file, or None.
        exif: EXIF as a TIFF block, orientation 1, no thumbnail, location included; or None.
        xmp: XMP packet, or None.
        warnings: one sentence for each thing that was changed or left out.
    """

    pixels: Bytes
    own: Bytes | None
    alpha: Bytes | None
    format: str
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    warnings: tuple[str, ...]


def decode(data: bytes, limits: Limits, *, max_side: int | None = None) -> Decoded:
    """Decode a picture.

    Args:
        data: the whole file.
        limits: checked before any pixel is decoded.
        max_side: shrink so that the longer side is at most this many pixels; JPEGs are then
            decoded at 1/2, 1/4 or 1/8 scale directly, which takes a fraction of the time.

    Raises:
        PhotoFormatError: not one of the allowed formats.
        PhotoTooLargeError: over the limits.
        PhotoDamagedError: truncated or corrupt.
        MissingExtraError: HEIC without pillow-heif.
    """
    if len(data) > limits.max_bytes:
        raise PhotoTooLargeError(
            f"The file has {len(data) / 2**20:.1f} MiB and the limit is "
            f"{limits.max_bytes / 2**20:.1f}: make it smaller, or raise Limits.max_bytes."
        )
    entry = sniff(data)
    check_header(data, entry, limits)
    if entry.name == "HEIC":
        load_heic()
    with _typed_errors(), Image.open(io.BytesIO(data), formats=[entry.pillow]) as image:
        check_size(*image.size, limits)
        return _decode_opened(image, data, entry, limits, max_side)


def picture_size(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height as the file stores them (not turned upright), without decoding a pixel.

    Raises:
        PhotoError: as for :func:`decode`.
    """
    entry = sniff(data)
    check_header(data, entry, limits)
    if entry.name == "HEIC":
        load_heic()
    with _typed_errors(), Image.open(io.BytesIO(data), formats=[entry.pillow]) as image:
        check_size(*image.size, limits)
        return image.size


@contextmanager
def _typed_errors() -> Iterator[None]:
    """Turn everything that Pillow raises into the two errors of a bad picture."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoTooLargeError(
            f"The picture is too large for Pillow's own guard ({error}): make it smaller."
        ) from error
    except MemoryError as error:
        raise PhotoTooLargeError("Not enough memory for this picture: make it smaller.") from error
    except _FAULTS as error:
        raise PhotoDamagedError(
            f"The picture is truncated or damaged ({_reason(error)}): copy or download it again."
        ) from error


def _reason(error: BaseException) -> str:
    """Pillow's words without object addresses, or the kind of error where it said nothing."""
    text = str(error).split(" <", maxsplit=1)[0].strip()
    return text[:120] or type(error).__name__


def _decode_opened(
    image: ImageFile.ImageFile, data: bytes, entry: Format, limits: Limits, max_side: int | None
) -> Decoded:
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1) if entry.name != "TIFF" else 1
    if frames > 1 or getattr(image, "is_animated", False):
        notes.append(SEVERAL)
    raw = _raw_modes(image)  # gone after loading
    deep = any(mode.endswith(_DEEP) for mode in raw)
    deep |= entry.name in ("AVIF", "HEIC") and is_deep(data)
    full = image.size
    if max_side is not None:
        image.draft(None, (min(max_side, full[0]), min(max_side, full[1])))
    image.load()
    check_size(*image.size, limits)  # what the codec delivered, should it differ from the header
    exif = _exif(image, entry, limits, notes)
    plain = to_plain(image, white=4095 if "I;12" in raw else 65535)
    if deep or plain.deep:
        notes.append("More than 8 bits per channel: working pixels and saved files have 8.")
    if max_side is not None:
        plain = plain.map(lambda part: _shrunk(part, max_side))
    # Pillow's TIFF and HEIC plugins turn the picture upright by themselves.
    turn = None if entry.name in ("TIFF", "HEIC") else _TURNS.get(exif_block.orientation(exif))
    if turn is not None:
        plain = plain.map(lambda part: part.transpose(turn))
    srgb, own, icc = _to_srgb(plain, _icc(image, limits, notes), notes)
    kept = exif_block.clean(exif, keep_gps=True)
    if exif is not None and kept is None:
        notes.append("The EXIF block is damaged: it is left out of saved files.")
    return Decoded(
        pixels=_array(srgb),
        own=None if own is None else _array(own),
        alpha=None if plain.alpha is None else _array(plain.alpha),
        format=entry.name,
        icc=icc,
        exif=kept,
        xmp=_xmp(image, limits, notes),
        warnings=tuple(notes),
    )


def _raw_modes(image: ImageFile.ImageFile) -> list[str]:
    """How the samples stand in the file, in Pillow's words: "RGB;16B" for 16-bit colour."""
    return [
        part
        for tile in image.tile
        for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
        if isinstance(part, str)
    ]


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    scale = max_side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _to_srgb(
    plain: Plain, data: bytes | None, notes: list[str]
) -> tuple[Image.Image, Image.Image | None, bytes | None]:
    """Colours to sRGB: the picture, the picture in its own space if kept, the profile to save."""
    if plain.colour.mode == "CMYK":
        notes.append("CMYK was converted: saved files are RGB.")
    if data is not None:
        try:
            profile = Profile(data)
            if profile.mode != plain.colour.mode:
                raise ProfileError(f"for {profile.mode}, but the picture is {plain.colour.mode}")
            if profile.is_srgb:
                return plain.colour, None, data
            srgb = profile.to_srgb(plain.colour)
            if profile.mode == "RGB":
                return srgb, plain.colour, data
            return srgb, None, srgb_profile_bytes()
        except ProfileError as error:
            notes.append(f"The colour profile cannot be used ({_reason(error)}): taken as sRGB.")
    if plain.colour.mode == "RGB":
        return plain.colour, None, None
    return plain.colour.convert("RGB"), None, None


def _icc(image: Image.Image, limits: Limits, notes: list[str]) -> bytes | None:
    return _metadata(image.info.get("icc_profile"), "colour profile", limits, notes)


def _xmp(image: Image.Image, limits: Limits, notes: list[str]) -> bytes | None:
    return _metadata(image.info.get("xmp"), "XMP block", limits, notes)


def _exif(image: Image.Image, entry: Format, limits: Limits, notes: list[str]) -> bytes | None:
    if entry.name == "TIFF":
        return _exif_of_tiff(image)
    block = _metadata(image.info.get("exif"), "EXIF block", limits, notes)
    return None if block is None else exif_block.normalise(block)


def _metadata(value: object, name: str, limits: Limits, notes: list[str]) -> bytes | None:
    if not isinstance(value, bytes) or not value:
        return None
    if len(value) > limits.max_metadata_bytes:
        notes.append(f"The {name} has {len(value)} bytes, over the limit: it is left out.")
        return None
    return value


# A TIFF file is one EXIF block with pixels in it, so the descriptive tags are picked by name.
_TIFF_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)


def _exif_of_tiff(image: Image.Image) -> bytes | None:
    """The descriptive tags of a TIFF and its EXIF and GPS directories as a block of their own."""
    found = image.getexif()
    picked = Image.Exif()
    for tag in _TIFF_TAGS:
        if tag in found:
            picked[tag] = found[tag]
    directories = [ifd for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if ifd in found]
    for ifd in directories:
        picked.get_ifd(ifd).update(found.get_ifd(ifd))
    return exif_block.normalise(picked.tobytes()) if len(picked) or directories else None


def _array(image: Image.Image) -> Bytes:
    """Read-only array of a picture of mode RGB or L."""
    pixels = np.asarray(image)
    pixels.setflags(write=False)
    return pixels
