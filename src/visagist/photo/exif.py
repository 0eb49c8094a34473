"""EXIF edited in place: read and reset the orientation, drop the location and the thumbnail.

EXIF is a small TIFF file. Writing it anew would break the maker notes, which hold offsets into the
whole block, so this module changes bytes where they stand and never moves a value. Anything out of
the ordinary (an offset outside the block, a directory met twice) drops the whole block instead: a
lost camera name is better than a leaked location. Source: Exif 2.32 (CIPA DC-008), TIFF 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["PREFIX", "clean", "normalise", "orientation"]

PREFIX = b"Exif\x00\x00"  # JPEG stores this before the block; inside visagist it is left out

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
_UNIT_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)  # by TIFF type 1..13
_MAX_ENTRIES = 1000  # real directories have under 100


class _UnusualError(Exception):
    """The block is not laid out as a camera would; the caller drops it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One 12-byte entry of a directory: where it stands and what it says."""

    at: int
    tag: int
    kind: int
    count: int
    value: int  # first 4 bytes as an unsigned number: an offset where the values do not fit


def normalise(block: bytes) -> bytes | None:
    """The TIFF block without JPEG's prefix, or None where it is empty or not TIFF at all."""
    block = block.removeprefix(PREFIX)
    return block if block[:4] in (b"II*\x00", b"MM\x00*") else None


def orientation(block: bytes | None) -> int:
    """Orientation 1..8 from an EXIF block; 1 where it is absent or nonsense."""
    if block is None:
        return 1
    try:
        order = _order(block)
        for entry in _entries(block, _first_directory(block)):
            if entry.tag == _ORIENTATION and entry.kind == 3 and entry.count == 1:
                (value,) = struct.unpack_from(order + "H", block, entry.at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except (_UnusualError, struct.error):
        return 1
    return 1


def clean(block: bytes | None, *, keep_gps: bool) -> bytes | None:
    """The block as it may be saved beside upright, edited pixels.

    Orientation becomes 1; the thumbnail goes, because it shows the photo before the edit; the GPS
    directory goes and its values are overwritten with zeros, unless ``keep_gps``.

    Returns:
        a block of the same length, or None where there was none or it could not be cleaned safely.
    """
    if block is None:
        return None
    out = bytearray(block)
    try:
        order = _order(out)
        first = _first_directory(out)
        _reset_orientation(out, first)
        _drop_thumbnail(out, first)
        if not keep_gps:
            for directory in (first, *_pointed(out, first, _EXIF_IFD)):
                _drop_gps(out, directory)
            if _has_gps(out, order):
                return None
    except (_UnusualError, struct.error):
        return None
    return bytes(out) if orientation(bytes(out)) == 1 else None


def _order(block: bytes | bytearray) -> str:
    return "<" if block[:2] == b"II" else ">"


def _first_directory(block: bytes | bytearray) -> int:
    (at,) = struct.unpack_from(_order(block) + "I", block, 4)
    return int(at)


def _entries(block: bytes | bytearray, directory: int) -> Iterator[_Entry]:
    """Entries of the directory at this offset."""
    order = _order(block)
    (count,) = struct.unpack_from(order + "H", block, directory)
    if directory < 8 or count > _MAX_ENTRIES:
        raise _UnusualError
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        yield _Entry(at, *struct.unpack_from(order + "HHII", block, at))


def _pointed(block: bytes | bytearray, directory: int, tag: int) -> list[int]:
    """Offsets of the directories that entries with this tag point to."""
    return [entry.value for entry in _entries(block, directory) if entry.tag == tag]


def _next_at(block: bytes | bytearray, directory: int) -> int:
    """Where the offset of the next directory is written."""
    (count,) = struct.unpack_from(_order(block) + "H", block, directory)
    return int(directory + 2 + 12 * count)


def _reset_orientation(out: bytearray, directory: int) -> None:
    for entry in _entries(out, directory):
        if entry.tag == _ORIENTATION:
            struct.pack_into(_order(out) + "HIHH", out, entry.at + 2, 3, 1, 1, 0)


def _drop_thumbnail(out: bytearray, first: int) -> None:
    """Unlink the second directory and blank what its JPEG offset and length point at."""
    order = _order(out)
    at = _next_at(out, first)
    (second,) = struct.unpack_from(order + "I", out, at)
    struct.pack_into(order + "I", out, at, 0)
    if second == 0:
        return
    tags = {entry.tag: entry.value for entry in _entries(out, second)}
    start, length = tags.get(0x0201, 0), tags.get(0x0202, 0)
    if start and length:
        _blank(out, start, length, first)


def _drop_gps(out: bytearray, directory: int) -> None:
    """Blank every value of the GPS directories, the directories, and the entries naming them."""
    while found := [e for e in _entries(out, directory) if e.tag == _GPS_IFD]:
        gps = found[0].value
        for entry in list(_entries(out, gps)):
            unit = _UNIT_BYTES[entry.kind] if entry.kind < len(_UNIT_BYTES) else 0
            if unit * entry.count > 4:
                _blank(out, entry.value, unit * entry.count, directory)
        length = _next_at(out, gps) + 4 - gps
        _blank(out, gps, length, directory)
        _remove_entry(out, directory, found[0].at)


def _remove_entry(out: bytearray, directory: int, at: int) -> None:
    """Close the gap of one entry: the rest of the directory moves up, its values stay."""
    order = _order(out)
    (count,) = struct.unpack_from(order + "H", out, directory)
    end = _next_at(out, directory) + 4
    out[at : end - 12] = out[at + 12 : end]
    out[end - 12 : end] = bytes(12)
    struct.pack_into(order + "H", out, directory, count - 1)


def _has_gps(out: bytearray, order: str) -> bool:
    first = _first_directory(out)
    directories = [first, *_pointed(out, first, _EXIF_IFD)]
    return any(e.tag == _GPS_IFD for d in directories for e in _entries(out, d))


def _blank(out: bytearray, start: int, length: int, directory: int) -> None:
    """Zero a range as far as it lies inside the block.

    Raises:
        _UnusualError: it lies over the header or over the directory that is still in use.
    """
    end = start + length
    if start < 8 or not (end <= directory or start >= _next_at(out, directory) + 4):
        raise _UnusualError
    end = min(end, len(out))
    if start < end:
        out[start:end] = bytes(end - start)
