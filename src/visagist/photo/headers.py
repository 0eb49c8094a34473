"""Checks on the raw bytes that Pillow leaves out or makes too late.

Each is cheap (no pixel is decoded) and none trusts a length it has not compared with the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from visagist.errors import PhotoDamagedError, PhotoTooLargeError
from visagist.photo.directories import check_directories
from visagist.photo.exif import PREFIX
from visagist.photo.formats import Format
from visagist.photo.limits import Limits

__all__ = ["check_header", "check_size", "is_deep"]

# Progressive JPEGs have about 10 scans. Each scan visits every block again, so thousands of them
# in a small file keep a decoder busy for hours.
_MAX_SCANS = 100
_SCAN = 0xDA
# Inside a scan 0xFF is followed by 0 or a restart marker; everything else begins a segment.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Markers that begin a frame and carry its size: 0xC0 to 0xCF but for tables (DHT, JPG, DAC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_VP8X, _VP8L, _VP8 = b"VP8X", b"VP8L", b"VP8 "


def check_header(data: bytes, entry: Format, limits: Limits) -> None:
    """Refuse what can be known to be truncated or too large from the bytes alone.

    Raises:
        PhotoDamagedError: the end of the picture is missing, or the structure makes no sense.
        PhotoTooLargeError: the header asks for more than the limits.
    """
    try:
        if entry.name == "JPEG":
            _check_jpeg(data, limits)
        elif entry.name == "PNG":
            _check_png(data, limits)
        elif entry.name == "WebP":
            _check_webp(data, limits)
        elif entry.name == "BMP":
            _check_bmp(data, limits)
        elif entry.name == "TIFF":
            width, height = check_directories(data, limits)
            check_size(width, height, limits)
    except struct.error as error:
        raise _truncated() from error


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse dimensions over the limits.

    Raises:
        PhotoDamagedError: there are no pixels at all.
        PhotoTooLargeError: too many pixels, or a side too long.
    """
    if width < 1 or height < 1:
        raise PhotoDamagedError(f"The picture says it has {width} x {height} pixels.")
    if width * height > limits.max_pixels:
        raise PhotoTooLargeError(
            f"The picture has {width} x {height} = {width * height / 1e6:.1f} million pixels and "
            f"the limit is {limits.max_pixels / 1e6:.1f}: make it smaller, or raise "
            "Limits.max_pixels."
        )
    if max(width, height) > limits.max_side:
        raise PhotoTooLargeError(
            f"The picture is {width} x {height} pixels and a side may have {limits.max_side}: "
            "make it smaller, or raise Limits.max_side."
        )


def is_deep(data: bytes) -> bool:
    """Whether an AVIF or HEIC says more than 8 bits per channel in its ``pixi`` box."""
    at = data[:65536].find(b"pixi")
    channels = data[at + 8 : at + 9]
    return at >= 0 and bool(channels) and max(data[at + 9 : at + 9 + channels[0]], default=0) > 8


def _check_jpeg(data: bytes, limits: Limits) -> None:
    scans, exif = 0, b""
    for marker, start, end in _jpeg_segments(data):
        if marker == _SCAN:
            scans += 1
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, start + 1)
            check_size(width, height, limits)
        elif marker == 0xE1 and data.startswith(PREFIX, start):
            exif += data[start + len(PREFIX) : end]  # Pillow joins several segments into one
        elif marker == 0xE2 and data.startswith(b"MPF\0", start):
            check_directories(data[start + 4 : end], limits)
        if scans > _MAX_SCANS:
            raise PhotoDamagedError(f"The JPEG has over {_MAX_SCANS} scans; no camera makes that.")
    if scans == 0:
        raise _truncated()
    if exif:
        check_directories(exif, limits)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each segment up to the end of the picture.

    Raises:
        PhotoDamagedError: the data ends before the end marker does.
    """
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise _truncated()
        marker, at = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return
        if marker not in (0x01, 0xD8):  # these two stand alone
            start, at = at + 2, at + int(struct.unpack_from(">H", data, at)[0])
            yield marker, start, at


def _check_png(data: bytes, limits: Limits) -> None:
    if data[12:16] != b"IHDR":
        raise PhotoDamagedError("The PNG does not begin with its header: it is damaged.")
    width, height = struct.unpack_from(">II", data, 16)
    check_size(width, height, limits)
    if data.rfind(b"IEND") < 33:
        raise _truncated()


def _check_bmp(data: bytes, limits: Limits) -> None:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    check_size(width, abs(height), limits)  # a negative height means rows from the top


def _check_webp(data: bytes, limits: Limits) -> None:
    """Pillow sets up the whole canvas on opening a WebP, so its size is read here first."""
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise _truncated()
    kind = data[12:16]
    if kind == _VP8X:
        (wide,) = struct.unpack("<I", data[24:27] + b"\0")
        (high,) = struct.unpack("<I", data[27:30] + b"\0")
        check_size(wide + 1, high + 1, limits)
    elif kind == _VP8L:
        (bits,) = struct.unpack_from("<I", data, 21)
        check_size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, limits)
    elif kind == _VP8:
        wide, high = struct.unpack_from("<HH", data, 26)
        check_size(wide & 0x3FFF, high & 0x3FFF, limits)
    else:
        raise PhotoDamagedError("The WebP does not begin with a picture: it is damaged.")


def _truncated() -> PhotoDamagedError:
    return PhotoDamagedError("The picture is truncated: copy or download the file again.")
