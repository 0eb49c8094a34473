"""A gallery on a Milvus server: the same semantics, for people who outgrow one machine.

Milvus has no transactions, so a change is made of what it has: rows that are added and rows that
are deleted. A gallery ``NAME`` has the tables

    NAME_head       the header, the head, and the notes that make changes whole
    NAME_records    people, kept pictures, the log
    NAME_m...       the templates of one model with their vectors, which the server searches

and a change ``n`` goes::

    claim    add a claim; if another writer's is there, or the head is not n - 1: conflict
    stage    add the new rows with since = n; readers pass over what is newer than the head
             note which old rows go (replaced, deleted) in a journal, since = n
    commit   add the head n: the one row that makes the change
    tidy     delete the rows of the journal, the journal, the older head, the claim

Whoever stops before the commit leaves rows that nobody reads and the next writer sweeps up; whoever
stops after it leaves a journal that the next reader or writer works off. Two who claim at once see
each other and both withdraw, for reads of the head are linear (``Strong``). A claim runs out after
four times the time that one call may take; a writer gives up before.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from visagist.errors import (
    GalleryConflictError,
    GalleryDamagedError,
    GalleryError,
    GalleryMissingError,
    GalleryServerError,
    GalleryWriteError,
    InputError,
    ModelMismatchError,
)
from visagist.gallery.milvus.address import MilvusAddress
from visagist.gallery.milvus.rows import (
    NO_VECTOR,
    READ,
    entry_of,
    packed,
    records_of,
    rows_of,
    unpacked,
)
from visagist.gallery.milvus.server import EXACT, GRAPH, Index, MilvusServer, Row
from visagist.gallery.store import Change, Hit, Kind, LogEntry, Record

__all__ = ["MilvusStore"]

_NOTE_FIELDS = ("id", "kind", "since", "sealed")
_JOURNAL_IDS = 1500  # of a row; each has 29 characters
_LOG_WINDOW = 500  # entries read at once
_PAUSE = 0.1  # seconds, at most, between looks at other writers' claims
_COPIED = 1000  # rows at once
_NEAREST = 32  # vectors asked for at least; several may be of one person
_MOST_NEAREST = 16_384


@dataclass(slots=True)
class _Notes:
    """What the head table says beside the header."""

    sequence: int = 0
    head: bytes = b""
    heads: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    """Of each head's note: sequence, the server's time up to which it wrote, the sealed head."""
    models: dict[str, str] = field(default_factory=dict)  # id of the model -> its table
    journal: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    dirty: dict[str, str] = field(default_factory=dict)  # id of the note -> a table with holes


class MilvusStore:
    """A gallery on a Milvus cluster, or in a folder of Milvus Lite.

    Several processes may use a cluster; one at a time may use a folder. Use :meth:`create` and
    :meth:`open`.
    """

    def __init__(self, server: MilvusServer, index: Index) -> None:
        self._server = server
        self._index = index  # of tables to be made
        name = server.address.name
        self._heads, self._rows, self._model_table = f"{name}_head", f"{name}_records", f"{name}_m"
        self._sequence = 0
        self._models: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, Index]] = {}
        self._reads = 0

    @classmethod
    def create(
        cls, where: str, header: bytes, first: Change, *, index: Index | None = None
    ) -> Self:
        """Make the tables, with a first change.

        Args:
            where: an address, see :class:`~visagist.gallery.milvus.address.MilvusAddress`.
            header: bytes that never change.
            first: the first change.
            index: of the vectors; by default :data:`GRAPH` on a server and :data:`EXACT` in a
                folder of Milvus Lite, which is for tests.

        Raises:
            GalleryMissingError: a gallery of this name is there already.
            GalleryServerError, GalleryAccessError: the server is not there, or not for us.
        """
        store = cls._connected(where, index)
        server, made = store._server, []
        try:
            for table in (store._heads, store._rows):
                if server.exists(table):
                    raise GalleryMissingError(f"{store.place} exists already; choose another name")
            for table in (store._rows, store._heads):
                made.append(table)
                server.make(table, len(NO_VECTOR), EXACT, found_by=table == store._rows)
            store._note("header", 0, packed(header))
            store.commit(first)
        except BaseException:
            for table in made:
                with suppress(GalleryError):
                    server.drop(table)
            store.close()
            raise
        return store

    @classmethod
    def open(cls, where: str, *, index: Index | None = None) -> Self:
        """Open what :meth:`create` made.

        Raises:
            GalleryMissingError: there is none.
            GalleryDamagedError: a part of it is missing.
            GalleryServerError, GalleryAccessError: the server is not there, or not for us.
        """
        store = cls._connected(where, index)
        try:
            if not store._server.exists(store._heads):
                raise GalleryMissingError(
                    f"there is no gallery {store.place}; make one with: visagist gallery create"
                )
            store._recover()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def _connected(cls, where: str, index: Index | None) -> Self:
        address = MilvusAddress.parse(where)
        if index is None:
            index = GRAPH if address.folder is None else EXACT
        return cls(MilvusServer(address), index)

    @property
    def place(self) -> str:
        """The address."""
        return self._server.address.text

    def header(self) -> bytes:
        """The bytes given to ``create``."""
        rows = self._server.fetch(self._heads, 'kind == "header"', _NOTE_FIELDS, latest=True)
        if len(rows) != 1:
            raise GalleryDamagedError(f"{self.place} has no header; restore a backup")
        return unpacked(rows[0]["sealed"], self.place)

    def head(self) -> tuple[int, bytes]:
        """Sequence of the last change and the sealed head it wrote."""
        notes = self._notes()
        return notes.sequence, notes.head

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read inside is of one moment, or there is an error at the end.

        Raises:
            GalleryConflictError: another process has made a change meanwhile.
        """
        before, reads = self._sequence, self._reads
        yield
        if self._reads != reads and self.head()[0] != before:
            raise GalleryConflictError(f"{self.place} was changed while it was read; try again")

    def records(
        self, kind: Kind, *, person: bytes | None = None, model: str | None = None
    ) -> Iterator[Record]:
        """Records of a kind; of one table in the order of their enrolment."""
        condition = self._visible(kind)
        if person is not None:
            condition += f' and person == "{person.hex()}"'
        for name, table in self._tables(kind, model):
            rows = self._server.scan(table, condition, READ)
            yield from records_of(rows, kind, name, self.place)

    def owners(self, kind: Kind) -> Iterator[tuple[bytes, str]]:
        """Person and model of each record of a kind."""
        for name, table in self._tables(kind, None):
            condition = f"{self._visible(kind)} and part == 0"
            for row in self._server.scan(table, condition, ("id", "person")):
                yield bytes.fromhex(row["person"]), name

    def get(self, kind: Kind, id: bytes) -> Record | None:
        """The record of this id, or ``None``."""
        return self._one(kind, f'rid == "{id.hex()}"')

    def find(self, kind: Kind, tag: bytes) -> Record | None:
        """The record of this tag, or ``None``."""
        return self._one(kind, f'tag == "{tag.hex()}"')

    def _one(self, kind: Kind, condition: str) -> Record | None:
        for name, table in self._tables(kind, None):
            rows = self._server.fetch(table, f"{condition} and {self._visible(kind)}", READ)
            found = list(records_of(rows, kind, name, self.place))
            if found:
                return found[-1]
        return None

    def count(self, kind: Kind) -> int:
        """How many records of a kind there are."""
        condition = f"{self._visible(kind)} and part == 0"
        return sum(self._server.count(table, condition) for _, table in self._tables(kind, None))

    def log(self, start: int = 1) -> Iterator[LogEntry]:
        """Entries from ``start`` on, in order."""
        self._reads += 1
        end = self._sequence
        for first in range(start, end + 1, _LOG_WINDOW):
            last = min(end, first + _LOG_WINDOW - 1)
            condition = f'kind == "log" and since >= {first} and since <= {last}'
            entries = entry_of(self._server.fetch(self._rows, condition, READ), self.place)
            yield from sorted(entries, key=lambda entry: entry.sequence)

    def search(
        self, vector: NDArray[np.float32], *, model: str, threshold: float, limit: int
    ) -> list[Hit]:
        """The people whose best template of ``model`` scores at least ``threshold``.

        The server picks vectors, and they are scored here. What its index misses is not found: a
        mated search may then answer ``unknown``, a stranger is never nearer than they are.
        """
        table = self._models.get(model)
        if table is None:
            return []
        dimension, index = self._shape(table)
        if vector.shape != (dimension,):
            raise ModelMismatchError(
                f"{self.place} holds vectors of {dimension} numbers for this model, not "
                f"{vector.shape}"
            )
        self._reads += 1
        wanted = max(_NEAREST, 4 * limit)
        while True:
            wanted = min(wanted, _MOST_NEAREST)
            condition = f"since <= {self._sequence}"
            near = self._server.nearest(table, vector, condition, wanted, index)
            best: dict[bytes, float] = {}
            for person, theirs in near:
                score = float(np.dot(theirs, vector))
                best[person] = max(score, best.get(person, -1.0))
            if len(best) >= limit or len(near) < wanted or wanted == _MOST_NEAREST:
                break
            if near and float(np.dot(near[-1][1], vector)) < threshold:
                break
            wanted *= 4  # many templates of few people stand in front
        hits = [Hit(p, score) for p, score in best.items() if score >= np.float32(threshold)]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def commit(self, change: Change) -> None:
        """Make a change whole, or not at all; see the top of this module.

        Raises:
            GalleryConflictError: another process is writing, or was first.
            ModelMismatchError: a vector does not fit those that are there for its model.
            GalleryServerError: the server stopped answering. Its answer to the last step may be
                the one that was lost; then the change is there at the next look.
        """
        begin, seconds = time.monotonic(), self._server.address.seconds
        with self._claimed(change.entry.sequence - 1) as (notes, claim):
            try:
                doomed, journal = self._stage(change, notes)
                if time.monotonic() - begin > 2 * seconds:
                    raise GalleryWriteError(f"{self.place} is too slow; nothing was changed")
            except (GalleryServerError, KeyboardInterrupt):
                raise  # what was sent may still arrive; it is swept up when the claim has run out
            except BaseException:
                self._sweep_from(change.entry.sequence)
                raise
            written = self._server.written((self._rows, *self._models.values()))
            head = self._note("head", change.entry.sequence, f"{written}\n{packed(change.head)}")
            self._sequence, self._server.seen = change.entry.sequence, written
            with suppress(GalleryServerError):  # the change is made; the next look does the rest
                old = [*notes.heads, *journal, claim]
                if doomed:
                    self._finish(doomed, change.entry.sequence, change.head)
                    old.append(head)
                self._server.delete(self._heads, old)

    def _finish(self, doomed: dict[str, list[str]], sequence: int, head: bytes) -> None:
        """Delete rows, and let the head say when that was, for those who read after it."""
        for table, ids in doomed.items():
            self._server.delete(table, ids)
        self._server.seen = max(self._server.seen, self._server.written(doomed))
        self._note("head", sequence, f"{self._server.seen}\n{packed(head)}")

    @contextmanager
    def _claimed(self, expected: int | None) -> Iterator[tuple[_Notes, str]]:
        """Keep other writers off; gives what the head table says, and the id of the claim.

        Args:
            expected: sequence that the head must have; ``None`` for any.

        Raises:
            GalleryConflictError: another process is writing, or was first.
        """
        end = time.time() + 4 * self._server.address.seconds
        claim = self._note("claim", 0, str(end))
        try:
            notes = self._turn(claim)
            if expected is not None and notes.sequence != expected:
                raise GalleryConflictError(f"another process has changed {self.place}")
            stale = [row["id"] for row in notes.claims if row["id"] != claim]
            if stale:  # their writers broke off before their commit
                self._sweep_from(notes.sequence + 1)
                self._server.delete(self._heads, stale)
            yield notes, claim
        except (GalleryServerError, KeyboardInterrupt):
            raise  # the claim stays till it runs out
        except BaseException:
            with suppress(GalleryServerError):
                self._server.delete(self._heads, [claim])
            time.sleep(random.uniform(0, _PAUSE))  # those who met come back apart
            raise
        with suppress(GalleryServerError):
            self._server.delete(self._heads, [claim])

    def _turn(self, claim: str) -> _Notes:
        """Wait till no other claim is left; of those who see each other, all but one withdraw.

        Raises:
            GalleryConflictError: it is another's turn.
        """
        end = time.monotonic() + self._server.address.seconds
        while True:
            notes = self._notes()
            others = {row["id"]: float(row["sealed"]) for row in notes.claims}
            mine = others.pop(claim, 0.0)
            live = {id: until for id, until in others.items() if until > time.time()}
            if mine and not live:
                return notes
            if not mine or min(live) < claim or time.monotonic() > end:
                left = max(live.values(), default=time.time()) - time.time()
                raise GalleryConflictError(
                    f"another process is writing to {self.place}, or broke off while it was; try "
                    f"again, at the latest in {left:.0f} s"
                )
            time.sleep(random.uniform(0, _PAUSE))

    def _stage(self, change: Change, notes: _Notes) -> tuple[dict[str, list[str]], list[str]]:
        """Write all that a change needs before its head.

        Returns:
            Rows that go after it, by table; ids of the journal's notes.
        """
        sequence, by_table = change.entry.sequence, dict[str, list[Row]]()
        for record, row in rows_of(change, secrets.token_hex(4)):
            templates = record is not None and record.kind is Kind.TEMPLATE
            table = self._table_for(record) if record and templates else self._rows
            by_table.setdefault(table, []).append(row)
        doomed, journal = self._doomed(change), list[str]()
        for table, ids in doomed.items():
            for start in range(0, len(ids), _JOURNAL_IDS):
                named = ",".join(ids[start : start + _JOURNAL_IDS])
                journal.append(self._note("journal", sequence, f"{table}\n{named}"))
            if table not in notes.dirty.values():
                self._note("dirty", 0, table)
        for table, rows in by_table.items():
            self._server.insert(table, rows)
        return doomed, journal

    def _doomed(self, change: Change) -> dict[str, list[str]]:
        """Rows of records that a change deletes or replaces, by table."""
        going = [*change.delete, *((record.kind, record.id) for record in change.put)]
        doomed: dict[str, list[str]] = {}
        for table in (self._rows, *self._models.values()):
            wanted = [
                id.hex() for kind, id in going if (kind is Kind.TEMPLATE) != (table == self._rows)
            ]
            before = f"since < {change.entry.sequence}"
            rows = self._server.fetch_any(table, "rid", wanted, before, ("id",))
            if rows:
                doomed[table] = [row["id"] for row in rows]
        return doomed

    def _table_for(self, record: Record) -> str:
        """The table of a template's model, made if need be."""
        if record.vector is None:
            raise InputError("a store that searches needs the vectors of templates")
        table = self._models.get(record.model)
        if table is None:
            key = hashlib.sha256(record.model.encode()).hexdigest()[:16]
            table = self._model_table + key
            if self._server.exists(table):  # of a change that was broken off
                self._server.drop(table)
            self._server.make(table, len(record.vector), self._index)
            self._note("model", 0, f"{table}\n{record.model}")
            self._models[record.model] = table
        if len(record.vector) != self._shape(table)[0]:
            raise ModelMismatchError(
                f"{self.place} holds vectors of {self._shape(table)[0]} numbers of "
                f"{record.model}, not of {len(record.vector)}"
            )
        return table

    def purge(self) -> bool:
        """Have the tables with deleted rows written anew without them.

        Returns:
            True in a folder of Milvus Lite. False on a server: the old objects stay until its
            garbage collector passes (``dataCoord.gc.dropTolerance``, hours by default).
        """
        local = self._server.address.folder is not None
        try:
            with self._claimed(None) as (notes, _):
                for table in notes.dirty.values():
                    if local:
                        self._rewrite(table)
                self._server.delete(self._heads, list(notes.dirty))
        except GalleryConflictError:
            return False
        for table in () if local else notes.dirty.values():
            self._server.compact(table)
        return local

    def _rewrite(self, table: str) -> None:
        """Copy a table and put the copy in its place: Milvus Lite does not compact on demand."""
        copy, fields = f"{table}_copy", (*READ, "vector")
        dimension, index = self._shape(table)
        self._server.drop(copy)
        self._server.make(copy, dimension, index)
        batch: list[Row] = []
        for row in self._server.scan(table, "since >= 0", fields):
            batch.append({name: row[name] for name in fields})
            if len(batch) == _COPIED:
                self._server.insert(copy, batch)
                batch = []
        self._server.insert(copy, batch)
        note = self._note("swap", 0, table)
        self._swap(table)
        self._server.delete(self._heads, [note])

    def _swap(self, table: str) -> None:
        if self._server.exists(f"{table}_copy"):
            self._server.drop(table)
            self._server.rename(f"{table}_copy", table)

    def check(self) -> None:
        """See whether all tables are there, and all rows whole and of changes that were made.

        Raises:
            GalleryDamagedError: something is wrong.
        """
        for table in (self._rows, *self._models.values()):
            self._server.shape(table)
        for kind in Kind:
            seen: set[bytes] = set()
            for record in self.records(kind):
                if record.id in seen:
                    raise GalleryDamagedError(f"{self.place} has a {kind.value} twice")
                seen.add(record.id)

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def _notes(self) -> _Notes:
        """Read the head table, and finish what a change that was made left to do."""
        rows = self._server.fetch(self._heads, 'kind != "header"', _NOTE_FIELDS, latest=True)
        notes = _Notes()
        for row in rows:
            self._sort(row, notes)
        if notes.heads:
            newest = max(notes.heads.values(), key=lambda head: head[:2])
            notes.sequence, self._server.seen = newest[:2]
            notes.head = unpacked(newest[2], self.place)
        self._sequence, self._models = notes.sequence, notes.models
        self._work_off(notes)
        return notes

    @staticmethod
    def _sort(row: Row, notes: _Notes) -> None:
        kind, value = row["kind"], row["sealed"]
        if kind == "head":
            written, _, head = value.partition("\n")
            notes.heads[row["id"]] = (int(row["since"]), int(written), head)
        elif kind == "model":
            table, _, model = value.partition("\n")
            notes.models[model] = table
        elif kind == "journal":
            notes.journal.append(row)
        elif kind == "claim":
            notes.claims.append(row)
        elif kind == "dirty":
            notes.dirty[row["id"]] = value

    def _work_off(self, notes: _Notes) -> None:
        """Delete the rows of a journal whose change was made."""
        due = [row for row in notes.journal if row["since"] <= notes.sequence]
        if not due:
            return
        doomed: dict[str, list[str]] = {}
        for row in due:
            table, _, named = row["sealed"].partition("\n")
            doomed.setdefault(table, []).extend(named.split(","))
        self._finish(doomed, notes.sequence, notes.head)
        self._server.delete(self._heads, [row["id"] for row in due])

    def _sweep_from(self, sequence: int) -> None:
        condition = f"since >= {sequence}"
        for table in (self._rows, *self._models.values()):
            found = self._server.fetch(table, condition, ("id",), latest=True)
            self._server.delete(table, [row["id"] for row in found])
        journal = f'kind == "journal" and {condition}'
        found = self._server.fetch(self._heads, journal, ("id",), latest=True)
        self._server.delete(self._heads, [row["id"] for row in found])

    def _recover(self) -> None:
        """Get the tables ready; what was begun in a folder is over: nobody else can be there."""
        server = self._server
        server.load(self._heads)
        if server.first_here:
            condition = 'kind == "swap"'
            for note in server.fetch(self._heads, condition, _NOTE_FIELDS, latest=True):
                self._swap(note["sealed"])
                server.delete(self._heads, [note["id"]])
        models = server.fetch(self._heads, 'kind == "model"', _NOTE_FIELDS, latest=True)
        for table in (self._rows, *(note["sealed"].partition("\n")[0] for note in models)):
            server.load(table)
        notes = self._notes()
        if server.first_here and notes.claims:
            self._sweep_from(notes.sequence + 1)
            server.delete(self._heads, [row["id"] for row in notes.claims])

    def _note(self, kind: str, since: int, value: str) -> str:
        """Add a row to the head table; returns its id."""
        row = {
            "id": kind + secrets.token_hex(8),
            "kind": kind,
            "rid": "",
            "person": "",
            "tag": "",
            "since": since,
            "part": 0,
            "parts": 1,
            "sealed": value,
            "vector": NO_VECTOR,
        }
        self._server.insert(self._heads, [row])
        return str(row["id"])

    def _visible(self, kind: Kind) -> str:
        self._reads += 1
        return f'kind == "{kind.value}" and since <= {self._sequence}'

    def _tables(self, kind: Kind, model: str | None) -> list[tuple[str, str]]:
        """(model, table) of the tables with records of a kind."""
        if kind is not Kind.TEMPLATE:
            return [] if model else [("", self._rows)]
        return [(m, table) for m, table in self._models.items() if model in {None, m}]

    def _shape(self, table: str) -> tuple[int, Index]:
        if table not in self._shapes:
            self._shapes[table] = self._server.shape(table)
        return self._shapes[table]
