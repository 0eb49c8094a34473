"""Records as rows of a Milvus table, and back. A row holds a text of 64 KB; larger things are cut.

A row is never changed. It is written under a new id together with the number of the change that it
belongs to (``since``), counts from the moment that this change is made, and is deleted at last.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator

import numpy as np

from visagist.errors import GalleryDamagedError
from visagist.gallery.milvus.server import Row
from visagist.gallery.store import Change, Kind, LogEntry, Record

__all__ = ["NO_VECTOR", "READ", "entry_of", "packed", "records_of", "rows_of", "unpacked"]

READ = ("id", "kind", "rid", "person", "tag", "since", "part", "parts", "sealed")
"""The fields of a row that a record is made of."""

NO_VECTOR = np.zeros(2, np.float32)
"""Stands where a row has no vector; every table of Milvus has a column of them."""

_PART = 60_000  # characters; a text of Milvus has at most 65,535 bytes


def packed(data: bytes) -> str:
    """Bytes as a text."""
    return base64.b64encode(data).decode()


def unpacked(text: str, place: str) -> bytes:
    """Back to bytes.

    Raises:
        GalleryDamagedError: it is no such text.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GalleryDamagedError(f"{place} holds a row that is not readable") from error


def rows_of(change: Change, attempt: str) -> Iterator[tuple[Record | None, Row]]:
    """The rows of a change, each with its record (``None`` for the log entry).

    Args:
        change: to be written.
        attempt: 8 hexadecimal digits, so that ids differ between one try and the next.
    """
    since = change.entry.sequence
    for place, record in enumerate((None, *change.put)):
        sealed = packed(change.entry.sealed if record is None else record.sealed)
        parts = [sealed[i : i + _PART] for i in range(0, len(sealed), _PART)] or [""]
        for part, text in enumerate(parts):
            yield (
                record,
                {
                    # rows come back in the order of their ids: that of enrolment
                    "id": f"{since:012x}{place:06x}{part:03x}{attempt}",
                    "kind": "log" if record is None else record.kind.value,
                    "rid": f"{since:032x}" if record is None else record.id.hex(),
                    "person": "" if record is None else record.person.hex(),
                    "tag": "" if record is None else record.tag.hex(),
                    "since": since,
                    "part": part,
                    "parts": len(parts),
                    "sealed": text,
                    "vector": NO_VECTOR
                    if record is None or record.vector is None
                    else np.asarray(record.vector, np.float32),
                },
            )


def records_of(rows: Iterable[Row], kind: Kind, model: str, place: str) -> Iterator[Record]:
    """Whole records of rows, whose parts may come in any order.

    Raises:
        GalleryDamagedError: parts are missing, or a row is not readable.
    """
    for first, sealed in _whole(rows, place):
        try:
            id, person, tag = (bytes.fromhex(first[f]) for f in ("rid", "person", "tag"))
        except ValueError as error:
            raise GalleryDamagedError(f"{place} holds a row that is not readable") from error
        yield Record(kind, id, person, sealed, model, tag)


def entry_of(rows: Iterable[Row], place: str) -> Iterator[LogEntry]:
    """Log entries of rows.

    Raises:
        GalleryDamagedError: parts are missing, or a row is not readable.
    """
    for first, sealed in _whole(rows, place):
        yield LogEntry(int(first["since"]), sealed)


def _whole(rows: Iterable[Row], place: str) -> Iterator[tuple[Row, bytes]]:
    begun: dict[tuple[str, int], dict[int, Row]] = {}
    for row in rows:
        name = (str(row["rid"]), int(row["since"]))
        parts = begun.setdefault(name, {})
        parts[int(row["part"])] = row
        if len(parts) == int(row["parts"]):
            del begun[name]
            text = "".join(str(parts[i]["sealed"]) for i in sorted(parts))
            yield parts[min(parts)], unpacked(text, place)
    if begun:
        raise GalleryDamagedError(f"{place} has lost a part of a record; restore a backup")
