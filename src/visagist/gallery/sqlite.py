"""A gallery in one file: SQLite in write-ahead mode, every change one transaction.

The file is read with suspicion: its schema must be ours to the letter, so that a file from a
stranger cannot bring triggers or views, and whatever SQLite finds wrong is one typed error. What is
in the records is not this module's business; they are sealed.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from visagist.errors import (
    GalleryConflictError,
    GalleryDamagedError,
    GalleryError,
    GalleryMissingError,
    GalleryWriteError,
)
from visagist.gallery.store import Change, Kind, LogEntry, Record

__all__ = ["SQLiteStore"]

_APPLICATION = 0x56534731  # "VSG1", in the file's header, for `file` and for us
_TABLES = {
    "header": "CREATE TABLE header (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL)",
    "head": "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), "
    "sequence INTEGER NOT NULL, sealed BLOB NOT NULL)",
    "log": "CREATE TABLE log (sequence INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
}
for _kind in Kind:
    # rows in the order of their enrolment; the ids are random, and would scatter the pages
    _TABLES |= {
        _kind.value: f"CREATE TABLE {_kind.value} (id BLOB NOT NULL UNIQUE, person BLOB NOT NULL, "
        "model TEXT NOT NULL, tag BLOB UNIQUE, sealed BLOB NOT NULL)",
        f"{_kind.value}_person": f"CREATE INDEX {_kind.value}_person ON {_kind.value} (person)",
    }
_COLUMNS = "id, person, sealed, model, tag"
_BUSY_SECONDS = 10.0
SYNCHRONOUS = "FULL"
"""A change is on the disk when it is told to be done; tests that lose no power need not wait."""
_NOT_OURS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH}
_IN_THE_WAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}
_VACUUM_SHARE = 0.25  # of the pages empty: worth rewriting the file


class SQLiteStore:
    """One file, and two more beside it (``-wal``, ``-shm``) while it is open.

    Several processes may have it open; one writes at a time.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection

    @classmethod
    def create(cls, path: Path, header: bytes, first: Change) -> Self:
        """Make a new file with its first change; it appears whole or not at all.

        Raises:
            GalleryMissingError: something of this name is there already.
            GalleryWriteError: it cannot be written.
        """
        if os.path.lexists(path):
            raise GalleryMissingError(f"{path} exists already; choose another name")
        temporary = path.parent / f".visagist-{secrets.token_hex(8)}.tmp"
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with _told(path), closing(_connect(temporary)) as db:
                db.execute("PRAGMA journal_mode = OFF")  # a torn temporary is thrown away
                db.execute("PRAGMA synchronous = OFF")
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                for statement in _TABLES.values():
                    db.execute(statement)
                db.execute("INSERT INTO header VALUES (1, ?)", (header,))
                cls(path, db).commit(first)
            _flush(temporary)
            os.link(temporary, path)  # unlike a rename, fails if another program was quicker
        except FileExistsError as error:
            raise GalleryMissingError(f"{path} exists already; choose another name") from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise GalleryWriteError(f"{path} cannot be made ({reason})") from error
        finally:
            with suppress(OSError, ValueError):  # nothing was made
                temporary.unlink(missing_ok=True)
        with suppress(OSError):  # systems without folders that can be flushed
            _flush(path.parent)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file that :meth:`create` made.

        Raises:
            GalleryMissingError: there is none.
            GalleryDamagedError: it is torn, or something else.
        """
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            raise GalleryMissingError(
                f"there is no gallery {path}; make one with: visagist gallery create"
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise GalleryMissingError(f"{path} is not a file; give the path of a gallery")
        with _told(path):
            db = _connect(path)
            try:
                _refuse_strange_schema(db, path)  # before anything is written to it
                _set_up(db)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    @property
    def place(self) -> str:
        """The path."""
        return str(self._path)

    def header(self) -> bytes:
        """The bytes given to ``create``."""
        with _told(self._path):
            row = self._db.execute("SELECT value FROM header").fetchone()
        return _bytes(row, self._path)

    def head(self) -> tuple[int, bytes]:
        """Sequence of the last change and the sealed head it wrote."""
        with _told(self._path):
            row = self._db.execute("SELECT sequence, sealed FROM head").fetchone()
        if row is None:
            return 0, b""
        return _sequence(row, self._path), _bytes(row[1:], self._path)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One snapshot for all that is read inside."""
        with _told(self._path):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    def records(
        self, kind: Kind, *, person: bytes | None = None, model: str | None = None
    ) -> Iterator[Record]:
        """Records of a kind, in the order of their enrolment."""
        wanted = {"person": person, "model": model}
        wanted = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in wanted) or "1"
        query = f"SELECT {_COLUMNS} FROM {kind.value} WHERE {where} ORDER BY rowid"
        with _told(self._path):
            for row in self._db.execute(query, tuple(wanted.values())):
                yield _record(kind, row, self._path)

    def get(self, kind: Kind, id: bytes) -> Record | None:
        """The record of this id, or ``None``."""
        return self._one(kind, "id", id)

    def find(self, kind: Kind, tag: bytes) -> Record | None:
        """The record of this tag, or ``None``."""
        return self._one(kind, "tag", tag)

    def _one(self, kind: Kind, column: str, value: bytes) -> Record | None:
        with _told(self._path):
            query = f"SELECT {_COLUMNS} FROM {kind.value} WHERE {column} = ?"
            row = self._db.execute(query, (value,)).fetchone()
        return None if row is None else _record(kind, row, self._path)

    def owners(self, kind: Kind) -> Iterator[tuple[bytes, str]]:
        """Person and model of each record of a kind."""
        with _told(self._path):
            for person, model in self._db.execute(f"SELECT person, model FROM {kind.value}"):
                if not (isinstance(person, bytes) and isinstance(model, str)):
                    raise _damaged(self._path, f"a {kind.value} is not of the right type")
                yield person, model

    def count(self, kind: Kind) -> int:
        """How many records of a kind there are."""
        with _told(self._path):
            return int(self._db.execute(f"SELECT count(*) FROM {kind.value}").fetchone()[0])

    def log(self, start: int = 1) -> Iterator[LogEntry]:
        """Entries from ``start`` on, in order."""
        query = "SELECT sequence, sealed FROM log WHERE sequence >= ? ORDER BY sequence"
        with _told(self._path):
            for row in self._db.execute(query, (start,)):
                yield LogEntry(_sequence(row, self._path), _bytes(row[1:], self._path))

    def commit(self, change: Change) -> None:
        """Make a change in one transaction; it is on the disk when this returns."""
        with _told(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT sequence FROM head").fetchone()
                if (0 if row is None else row[0]) != change.entry.sequence - 1:
                    raise GalleryConflictError(f"another process has changed {self._path}")
                self._write(change)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:  # anything at all went wrong, Ctrl-C among it
                    self._db.rollback()

    def _write(self, change: Change) -> None:
        for kind, id in change.delete:
            self._db.execute(f"DELETE FROM {kind.value} WHERE id = ?", (id,))
        for record in change.put:
            self._db.execute(
                f"INSERT INTO {record.kind.value} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET person = excluded.person, "
                "sealed = excluded.sealed, model = excluded.model, tag = excluded.tag",
                (record.id, record.person, record.sealed, record.model, record.tag or None),
            )
        entry = change.entry
        self._db.execute("INSERT INTO log VALUES (?, ?)", (entry.sequence, entry.sealed))
        self._db.execute(
            "INSERT INTO head VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET "
            "sequence = excluded.sequence, sealed = excluded.sealed",
            (entry.sequence, change.head),
        )

    def purge(self) -> bool:
        """Empty the write-ahead file, which holds older pages; rewrite a file with many holes.

        Deleted rows were overwritten with zeros already (``secure_delete``).
        """
        with _told(self._path):
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            empty = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            if empty > _VACUUM_SHARE * pages:
                self._if_possible("VACUUM")  # the holes are zeros; this only gives room back
            row = self._if_possible("PRAGMA wal_checkpoint(TRUNCATE)")
        return row is not None and not row[0]

    def _if_possible(self, statement: str) -> tuple[int, ...] | None:
        """The first row, if any; ``None`` where other readers or a full disk are in the way."""
        try:
            return self._db.execute(statement).fetchone() or ()
        except sqlite3.OperationalError as error:
            if _code(error) not in _IN_THE_WAY:
                raise
            return None

    def check(self) -> None:
        """SQLite's own check of pages and indices.

        Raises:
            GalleryDamagedError: it found something.
        """
        with _told(self._path):
            found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise _damaged(self._path, found)

    def close(self) -> None:
        """Close the file; the last to close it folds the write-ahead file into it."""
        self._db.close()


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _connect(path: Path) -> sqlite3.Connection:
    """Open for writing, or for reading where writing is not allowed."""
    address = "file:" + quote(os.path.abspath(path))  # noqa: PTH100  (a link is kept)
    db = sqlite3.connect(
        address + "?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        wal = path.with_name(path.name + "-wal")
        if _code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY} or wal.exists():
            raise
        # a folder in which SQLite cannot put its two helpers: the file cannot change either
        return sqlite3.connect(
            address + "?immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
    return db


def _set_up(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    with suppress(sqlite3.OperationalError):  # read-only: it keeps the mode it has
        db.execute("PRAGMA journal_mode = WAL").fetchone()


def _refuse_strange_schema(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    found = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION or found != _TABLES:
        raise _damaged(path, "it is not a gallery of this version")


def _record(kind: Kind, row: tuple[object, ...], path: Path) -> Record:
    id, person, sealed, model, tag = row
    tag = b"" if tag is None else tag
    if not (
        isinstance(id, bytes)
        and isinstance(person, bytes)
        and isinstance(sealed, bytes)
        and isinstance(model, str)
        and isinstance(tag, bytes)
    ):
        raise _damaged(path, f"a {kind.value} is not of the right type")
    return Record(kind, id, person, sealed, model, tag)


def _bytes(row: tuple[object, ...] | None, path: Path) -> bytes:
    if row is None or not isinstance(row[0], bytes):
        raise _damaged(path, "a part of it is missing")
    return row[0]


def _sequence(row: tuple[object, ...], path: Path) -> int:
    if not isinstance(row[0], int) or row[0] < 1:
        raise _damaged(path, "a number is missing")
    return row[0]


def _damaged(path: Path, why: str) -> GalleryDamagedError:
    return GalleryDamagedError(f"{path} is no gallery, or a damaged one: {why}; restore a backup")


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; errors of the Python wrapper have none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours.

    Raises:
        GalleryDamagedError, GalleryWriteError, GalleryConflictError, GalleryError: see above.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise _damaged(path, f"two records claim the same place ({error})") from error
    except sqlite3.Error as error:
        code = _code(error)
        unreadable = code == 0 and isinstance(error, sqlite3.OperationalError)  # text is no UTF-8
        if code in _NOT_OURS or unreadable:
            raise _damaged(path, str(error)) from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise GalleryWriteError(
                f"another program has been writing to {path} for too long; try again"
            ) from error
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}:
            raise GalleryWriteError(
                f"{path} cannot be read or written ({error}); it is as it was before"
            ) from error
        raise GalleryError(f"{path} cannot be used ({error})") from error
    except (UnicodeDecodeError, OverflowError) as error:
        raise _damaged(path, "a text in it is not readable") from error
