"""What the set of records must be, and how it changes: the head of a gallery and its log.

The head counts the records of each kind and holds the sum of their marks, so that a row that is
missing, added or put back from an older copy of the file shows at the next start. It also holds the
end of the log's hash chain. It is sealed, and written in the same transaction as the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from visagist.errors import GalleryDamagedError
from visagist.gallery.crypto import Vault
from visagist.gallery.payload import entry_bytes
from visagist.gallery.store import Change, Kind, LogEntry, Record

__all__ = ["Draft", "Ledger", "Tally", "chained"]

_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Tally:
    """A set of records: how many, and the sum of their marks."""

    count: int = 0
    total: int = 0

    def plus(self, mark: int) -> Tally:
        """With one more record."""
        return Tally(self.count + 1, (self.total + mark) % _MODULUS)

    def minus(self, mark: int) -> Tally:
        """With one record less."""
        return Tally(self.count - 1, (self.total - mark) % _MODULUS)

    def with_(self, other: Tally) -> Tally:
        """With all records of another set."""
        return Tally(self.count + other.count, (self.total + other.total) % _MODULUS)

    def without(self, other: Tally) -> Tally:
        """Without the records of another set."""
        return Tally(self.count - other.count, (self.total - other.total) % _MODULUS)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The head of a gallery.

    Attributes:
        sequence: of the last change.
        tip: 32 bytes, end of the log's hash chain.
        model: id of the model whose vectors are searched.
        dimension: length of its vectors.
        sets: the records of each kind.
    """

    sequence: int
    tip: bytes
    model: str
    dimension: int
    sets: Mapping[Kind, Tally]

    @property
    def anchor(self) -> str:
        """``SEQUENCE:HASH``, to be written down elsewhere."""
        return f"{self.sequence}:{self.tip.hex()}"

    def sealed(self, vault: Vault) -> bytes:
        """As bytes for a store."""
        fields = {
            "tip": self.tip.hex(),
            "model": self.model,
            "dimension": self.dimension,
            "sets": {k.value: [t.count, f"{t.total:x}"] for k, t in self.sets.items()},
        }
        return vault.seal_numbered(json.dumps(fields).encode(), "head", self.sequence)

    @classmethod
    def opened(cls, vault: Vault, sequence: int, sealed: bytes) -> Ledger:
        """From a store's head.

        Raises:
            GalleryDamagedError: it was changed, or there is none.
        """
        try:
            fields = json.loads(vault.open_numbered(sealed, "head", sequence))
            sets = {Kind(k): Tally(n, int(total, 16)) for k, (n, total) in fields["sets"].items()}
            tip = bytes.fromhex(fields["tip"])
            return cls(sequence, tip, str(fields["model"]), int(fields["dimension"]), sets)
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryDamagedError("the gallery's head is of another version") from error

    def compare(self, kind: Kind, found: Tally, place: str) -> None:
        """Refuse a set of records that is not the one this head was written for.

        Raises:
            GalleryDamagedError: records are missing, added, or from an older copy.
        """
        expected = self.sets[kind]
        if found == expected:
            return
        if found.count == expected.count:
            what = f"a {kind.value} record is from an older copy"
        else:
            what = f"there are {found.count} {kind.value} records, and {expected.count} were stored"
        raise GalleryDamagedError(f"{place} was changed without its key: {what}; restore a backup")


class Draft:
    """A change in the making: collects records, and ends as a :class:`Change` and a new head."""

    def __init__(self, vault: Vault, before: Ledger | None, *, model: str, dimension: int) -> None:
        self._vault = vault
        self._before = before
        self._model, self._dimension = model, dimension
        self._sets = dict(before.sets) if before else {kind: Tally() for kind in Kind}
        self._put: dict[tuple[Kind, bytes], Record] = {}
        self._delete: list[tuple[Kind, bytes]] = []

    def put(self, record: Record, *, instead_of: Record | None = None) -> None:
        """Add a record, or replace the one of the same kind and id."""
        if instead_of is not None:
            self._count_out(instead_of)
        self._sets[record.kind] = self._sets[record.kind].plus(self._vault.mark(record))
        self._put[record.kind, record.id] = record

    def delete(self, records: Iterable[Record]) -> dict[Kind, int]:
        """Delete records that are stored; returns how many of each kind."""
        counts = dict.fromkeys(Kind, 0)
        for record in records:
            self._count_out(record)
            self._delete.append((record.kind, record.id))
            counts[record.kind] += 1
        return counts

    def _count_out(self, record: Record) -> None:
        self._sets[record.kind] = self._sets[record.kind].minus(self._vault.mark(record))

    def finish(
        self, action: str, people: Iterable[bytes], details: Mapping[str, Any]
    ) -> tuple[Change, Ledger]:
        """The change with its log entry, and the ledger after it."""
        sequence = 1 if self._before is None else self._before.sequence + 1
        tip = bytes(32) if self._before is None else self._before.tip
        ids = tuple(person.hex() for person in people)
        sealed = self._vault.seal_numbered(entry_bytes(action, ids, dict(details)), "log", sequence)
        entry = LogEntry(sequence, sealed)
        after = Ledger(sequence, chained(tip, entry), self._model, self._dimension, self._sets)
        change = Change(
            entry, after.sealed(self._vault), tuple(self._put.values()), tuple(self._delete)
        )
        return change, replace(after, sets=dict(self._sets))


def chained(tip: bytes, entry: LogEntry) -> bytes:
    """The end of the hash chain after one more entry; needs no key."""
    return hashlib.sha256(tip + entry.sequence.to_bytes(8, "big") + entry.sealed).digest()
