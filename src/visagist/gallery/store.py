"""Where a gallery's sealed records lie: the small interface that every backend implements.

A store knows nothing of faces, names or keys. It keeps *records*, which arrive sealed, a *head*,
which says what the set of records must be, and a *log*, one entry a change. :class:`Gallery` does
the sealing, the checking and, for stores that cannot search, the searching.

Two kinds of store::

    GalleryStore       keeps records; the gallery holds the vectors in memory and searches them
    SearchingStore     is also handed the vectors (turned by a secret rotation) and searches itself

Every change to a gallery is one :class:`Change`, and a store makes it whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Change", "GalleryStore", "Hit", "Kind", "LogEntry", "Record", "SearchingStore"]

ID_BYTES = 16
"""Length of the random ids of people, templates and crops."""


class Kind(StrEnum):
    """What a record is; its id is unique among records of its kind."""

    PERSON = "person"
    TEMPLATE = "template"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class Record:
    """One sealed thing.

    Attributes:
        kind: what it is.
        id: 16 random bytes.
        person: id of the person whose it is; a person's own record has ``person == id``.
        sealed: nonce, ciphertext and tag; opaque to a store.
        model: model id of a template, "" for people and crops. Not secret.
        tag: 32 bytes by which the record can be found (a keyed hash: of a person's name, of a
            template's vector), or b"" for none. Unique among records of a kind.
        vector: (dimension,) float32 unit vector of a template, for a store that searches; else
            ``None``. It is turned by the gallery's secret rotation, which keeps cosines. Stores
            need not hand it back.
    """

    kind: Kind
    id: bytes
    person: bytes
    sealed: bytes
    model: str = ""
    tag: bytes = b""
    vector: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One sealed entry of the audit log; ``sequence`` counts from 1 without gaps."""

    sequence: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What one call changes, all of it or nothing.

    Attributes:
        entry: the next log entry; ``entry.sequence`` is one more than that of the change before.
        head: the new sealed head, which replaces the old one.
        put: records to add; one of the same kind and id is replaced.
        delete: (kind, id) of records to delete; those that are not there are passed over.
    """

    entry: LogEntry
    head: bytes
    put: tuple[Record, ...] = ()
    delete: tuple[tuple[Kind, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A person found by a store that searches.

    Attributes:
        person: id of the person.
        score: cosine of the best of the person's templates, -1..1.
    """

    person: bytes
    score: float


@runtime_checkable
class GalleryStore(Protocol):
    """Keeps sealed records, a head and a log.

    Implementations also have ``create(where, header, first) -> Self``, which makes the store with
    its first :class:`Change` in it (:class:`~visagist.errors.GalleryMissingError` when something
    is there already), and ``open(where) -> Self``. Besides what is named below, every method may
    raise :class:`~visagist.errors.GalleryDamagedError` (what is stored is torn or misshapen).
    """

    @property
    def place(self) -> str:
        """The file or address, for messages; without any secret in it."""
        ...

    def header(self) -> bytes:
        """The bytes given to ``create``; they never change."""
        ...

    def head(self) -> tuple[int, bytes]:
        """Sequence of the last change and the sealed head it wrote; (0, b"") before the first.

        Cheap: a gallery asks before every search, to notice what other processes wrote.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """What is read inside is of one moment, as far as the store can; not to be nested."""
        ...

    def records(
        self, kind: Kind, *, person: bytes | None = None, model: str | None = None
    ) -> Iterator[Record]:
        """All records of a kind, or those of one person or one model, in no certain order.

        They are read as the caller goes on; nothing is committed meanwhile by this process.
        """
        ...

    def get(self, kind: Kind, id: bytes) -> Record | None:
        """The record of this id, or ``None``."""
        ...

    def find(self, kind: Kind, tag: bytes) -> Record | None:
        """The record of this tag, or ``None``."""
        ...

    def owners(self, kind: Kind) -> Iterator[tuple[bytes, str]]:
        """Person and model of each record of a kind, without reading what is sealed."""
        ...

    def count(self, kind: Kind) -> int:
        """How many records of a kind there are."""
        ...

    def log(self, start: int = 1) -> Iterator[LogEntry]:
        """Entries of the audit log from ``start`` on, in order."""
        ...

    def commit(self, change: Change) -> None:
        """Make a change: all of it or, whatever happens, nothing; durable when this returns.

        Raises:
            GalleryConflictError: the last change is not ``change.entry.sequence - 1``: another
                process was first. Nothing was changed; read again and try again.
            GalleryWriteError: disk full, read-only, no permission. Nothing was changed.
        """
        ...

    def purge(self) -> bool:
        """Make deleted records unreadable in what the store keeps on disk.

        Returns:
            False if that has to wait: another process is reading, or the disk is full.
        """
        ...

    def check(self) -> None:
        """Look through the container itself (pages, indices), as far as the store can.

        Raises:
            GalleryDamagedError: something is wrong with it.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; calling it twice does no harm."""
        ...


@runtime_checkable
class SearchingStore(GalleryStore, Protocol):
    """A store that finds near vectors itself, so that they need not fit into memory."""

    def search(
        self, vector: NDArray[np.float32], *, model: str, threshold: float, limit: int
    ) -> list[Hit]:
        """The people whose best template of ``model`` scores at least ``threshold``.

        Args:
            vector: (dimension,) float32 unit vector, turned by the gallery's rotation.
            model: only templates of this model count.
            threshold: least cosine, -1..1.
            limit: at most so many people.

        Returns:
            Best first, each person once.
        """
        ...
