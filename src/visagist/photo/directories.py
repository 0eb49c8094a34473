"""TIFF directories, looked through before Pillow reads them.

TIFF files, EXIF blocks and the index of multi-picture JPEGs are directories of values at offsets.
Thousands of entries may point at the same megabytes, and a reader that copies each value then needs
gigabytes for a small file; newer Pillows guard against this, older ones do not.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from visagist.errors import PhotoDamagedError, PhotoTooLargeError
from visagist.photo.limits import Limits

__all__ = ["check_directories"]

_UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_UNIT_BYTES |= {16: 8, 17: 8, 18: 8}  # BigTIFF
_BELOW = frozenset({330, 0x8769, 0x8825, 0xA005})  # entries that point to directories Pillow reads
_SIDES = (256, 257)  # ImageWidth, ImageLength
_TILE_SIDES = frozenset({322, 323})
_MAX_ENTRIES = 4096  # in all directories together; real files have under 300
_MAX_TILE = 4096  # pixels; common tiles have 64 to 1024 a side


class _Layout(NamedTuple):
    """How this block writes numbers: entry count, entry, offset."""

    total: struct.Struct
    entry: struct.Struct
    offset: struct.Struct


def check_directories(block: bytes, limits: Limits) -> tuple[int, int]:
    """Refuse a TIFF or EXIF block whose values add up to much more than the block itself.

    Offsets outside the block are left to the reader, which skips or reports them.

    Returns:
        width and height in pixels as the first directory has them; 1 where it does not.

    Raises:
        PhotoDamagedError: overlapping values or too many entries.
        PhotoTooLargeError: one tile is larger than any real one (a decoder allocates it whole).
    """
    layout, first = _layout(block)
    ahead, seen = [first], set[int]()
    sides: dict[int, int] = {}
    total = entries = 0
    while ahead:
        directory = ahead.pop()
        if directory in seen:
            continue
        seen.add(directory)
        for tag, kind, count, value in _entries(block, directory, layout):
            entries += 1
            total += _UNIT_BYTES.get(kind, 0) * count
            if entries > _MAX_ENTRIES or total > 2 * len(block) + 65536:
                raise PhotoDamagedError("The directory of the picture makes no sense.")
            if tag in _BELOW and count == 1:
                ahead.append(value)
            if tag in _SIDES and directory == first:
                sides[tag] = value
            if tag in _TILE_SIDES and value > min(_MAX_TILE, limits.max_side):
                raise PhotoTooLargeError(f"The TIFF has tiles of {value} pixels: save it untiled.")
    return sides.get(_SIDES[0], 1), sides.get(_SIDES[1], 1)


def _layout(block: bytes) -> tuple[_Layout, int]:
    """Byte order and width of numbers, and the offset of the first directory."""
    order = "<" if block[:2] == b"II" else ">"
    big = block[2:4] in (b"\x2b\x00", b"\x00\x2b")
    kinds = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    layout = _Layout(*(struct.Struct(order + kind) for kind in kinds))
    try:
        (first,) = layout.offset.unpack_from(block, 8 if big else 4)
    except struct.error:
        first = len(block)
    return layout, first


def _entries(block: bytes, directory: int, layout: _Layout) -> list[tuple[int, int, int, int]]:
    """Tag, type, count and value or offset of each entry that lies inside the block."""
    start = directory + layout.total.size
    if start > len(block):
        return []
    (count,) = layout.total.unpack_from(block, directory)
    inside = (len(block) - start) // layout.entry.size
    end = start + min(count, inside, _MAX_ENTRIES + 1) * layout.entry.size
    found = []
    for at in range(start, end, layout.entry.size):
        tag, kind, number, value = layout.entry.unpack_from(block, at)
        if kind == 3 and number == 1:  # a 16-bit value stands in the first two bytes
            short = layout.offset.format[0] + "H"
            (value,) = struct.unpack_from(short, block, at + layout.entry.size - layout.offset.size)
        found.append((tag, kind, number, value))
    return found
