"""What a Milvus gallery asks of its server: tables made, written, read, searched; errors as ours.

The server is a Milvus cluster, or Milvus Lite, which runs inside this process on a folder and is
meant for tests. Nothing here knows what the rows are; they arrive sealed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.client import ts_utils

from visagist.errors import (
    GalleryAccessError,
    GalleryConflictError,
    GalleryDamagedError,
    GalleryMissingError,
    GalleryServerError,
    GalleryWriteError,
)
from visagist.gallery.milvus.address import CA_VARIABLE, TOKEN_VARIABLE, MilvusAddress

__all__ = ["EXACT", "GRAPH", "Index", "MilvusServer", "Row"]

Row = dict[str, Any]

TEXT_BYTES = 65_535
"""The longest text that a Milvus field holds."""

_FIELDS = ("id", "kind", "rid", "person", "tag", "since", "part", "parts", "sealed")
_TEXTS = {"id": 40, "kind": 8, "rid": 32, "person": 32, "tag": 64, "sealed": TEXT_BYTES}
_FOUND_BY = ("rid", "person", "tag")  # get a scalar index
_INSERT_BYTES = 8 << 20  # of one call; servers take 64 MB
_IDS = 1000  # ids named in one expression
_MOST_HITS = 16_384  # that a server returns
_COLLECTION_MISSING = 100
_CONNECT_FAILED = 2
_QUOTA = {8, 9}  # rate limited; writing denied (memory or disk are full)


@dataclass(frozen=True, slots=True)
class Index:
    """How a server indexes vectors.

    Attributes:
        kind: Milvus' name of it.
        build: parameters of building.
        search: parameters of searching.
    """

    kind: str
    build: Mapping[str, int]
    search: Mapping[str, int]


EXACT = Index("FLAT", {}, {})
"""Every vector is compared; what Milvus Lite gets."""

GRAPH = Index("HNSW", {"M": 16, "efConstruction": 200}, {"ef": 128})
"""A navigable small-world graph; what a cluster gets. docs/gallery-scale.md has its recall."""

_SEARCHED_WITH = {"HNSW": {"ef": 128}, "IVF_FLAT": {"nprobe": 32}, "IVF_SQ8": {"nprobe": 32}}


class MilvusServer:
    """A connection to one server, in the terms of a gallery.

    Every method may raise :class:`~visagist.errors.GalleryServerError` (it does not answer, or
    not in time), :class:`~visagist.errors.GalleryAccessError` (it refuses the token) and
    :class:`~visagist.errors.GalleryDamagedError` (a table is not there).
    """

    def __init__(self, address: MilvusAddress) -> None:
        self.address = address
        # it would print a traceback for each error that is raised and handled here
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if address.folder is not None:
            _check_folder(address.folder)
        self.first_here = address.folder is not None and _LOCAL.enter(address.folder)
        try:
            self._client = self._connected()
        except BaseException:
            self._leave()
            raise
        self._closed = False
        self.seen = 0  # reads see what was written up to this time of the server; 0 for now

    def _connected(self) -> MilvusClient:
        address = self.address
        with _told(address):
            return MilvusClient(
                address.uri,
                token=os.environ.get(TOKEN_VARIABLE, ""),
                db_name=address.database,
                timeout=address.seconds,
                dedicated=True,  # a connection of our own, which we may close
                **_authority(address),
            )

    def exists(self, table: str) -> bool:
        """Whether there is such a table."""
        with _told(self.address):
            return bool(self._client.has_collection(table, timeout=self.address.seconds))

    def make(self, table: str, dimension: int, index: Index, *, found_by: bool = True) -> None:
        """Make a table and get it ready to be read; takes seconds on a cluster.

        Args:
            table: its name.
            dimension: length of its vectors.
            index: of its vectors.
            found_by: whether rows will be looked for by their texts.
        """
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for field in _FIELDS:
            if field in _TEXTS:
                schema.add_field(
                    field, DataType.VARCHAR, max_length=_TEXTS[field], is_primary=field == "id"
                )
            else:
                schema.add_field(field, DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        indices = MilvusClient.prepare_index_params()
        indices.add_index(
            "vector", index_type=index.kind, metric_type="IP", params=dict(index.build)
        )
        # a server has its own default for texts, by its version: Trie, later INVERTED
        by_text = "" if self.address.folder is None else "INVERTED"
        for field in _FOUND_BY if found_by else ():
            indices.add_index(field, index_type=by_text)
        seconds = self.address.seconds
        with _told(self.address):
            self._client.create_collection(
                table, schema=schema, consistency_level="Strong", timeout=seconds
            )
            # without waiting, which is done in half seconds; an empty table has nothing to index
            self._client.create_index(table, indices, timeout=seconds, sync=False)
            self._client.load_collection(table, timeout=seconds)

    def load(self, table: str) -> None:
        """Get a table ready to be read, should an operator have released it."""
        with _told(self.address):
            self._client.load_collection(table, timeout=self.address.seconds)

    def drop(self, table: str) -> None:
        """Delete a table; one that is not there is passed over."""
        with _told(self.address):
            self._client.drop_collection(table, timeout=self.address.seconds)

    def rename(self, table: str, name: str) -> None:
        """Give a table another name."""
        with _told(self.address):
            self._client.rename_collection(table, name, timeout=self.address.seconds)
        self.load(name)

    def shape(self, table: str) -> tuple[int, Index]:
        """Length of a table's vectors, and how they are indexed.

        Raises:
            GalleryDamagedError: it has other fields than :meth:`make` gave it.
        """
        with _told(self.address):
            fields = self._client.describe_collection(table, timeout=self.address.seconds)["fields"]
            index = self._client.describe_index(table, "vector", timeout=self.address.seconds)
        types = {field["name"]: field for field in fields}
        if set(types) != {*_FIELDS, "vector"} or types["vector"]["type"] != DataType.FLOAT_VECTOR:
            raise GalleryDamagedError(
                f"{table} at {self.address.text} is no table of a gallery of this version"
            )
        kind = str((index or {}).get("index_type", EXACT.kind))
        return int(types["vector"]["params"]["dim"]), Index(kind, {}, _SEARCHED_WITH.get(kind, {}))

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows, in calls that a server takes."""
        with _told(self.address):
            for batch in _batches(rows):
                self._client.insert(table, batch, timeout=self.address.seconds)

    def delete(self, table: str, ids: Sequence[str]) -> None:
        """Delete rows; those that are not there are passed over."""
        with _told(self.address):
            for start in range(0, len(ids), _IDS):
                self._client.delete(
                    table, ids=list(ids[start : start + _IDS]), timeout=self.address.seconds
                )

    def written(self, tables: Iterable[str]) -> int:
        """The server's time of the last write made here to any of some tables; 0 if unknown."""
        host = urlsplit(self.address.uri).netloc
        times = (
            ts_utils.get_collection_ts(table, host, db)
            for table in tables
            for db in {self.address.database, "default"}
        )
        return max((int(time) for time in times if time), default=0)

    def fetch(
        self, table: str, condition: str, fields: Sequence[str], *, latest: bool = False
    ) -> list[Row]:
        """Rows that meet a condition, in one answer.

        Args:
            table: to be read.
            condition: an expression of Milvus.
            fields: of each row.
            latest: see what anybody wrote before this call, and not only what was written before
                ``seen``; the server then waits for its next tick, a fifth of a second.
        """
        return self._fetch(table, condition, fields, self._moment(latest))

    def _fetch(
        self, table: str, condition: str, fields: Sequence[str], more: dict[str, Any]
    ) -> list[Row]:
        with _told(self.address):
            found = self._client.query(
                table,
                filter=condition,
                output_fields=list(fields),
                timeout=self.address.seconds,
                **more,
            )
        return [dict(row) for row in found]

    def _moment(self, latest: bool) -> dict[str, Any]:
        if latest or not self.seen:
            return {"consistency_level": "Strong"}
        return {"consistency_level": "Customized", "guarantee_timestamp": self.seen}

    def fetch_any(
        self, table: str, field: str, values: Sequence[str], condition: str, fields: Sequence[str]
    ) -> list[Row]:
        """Rows whose field is one of some values, which are hexadecimal, and meet a condition."""
        found: list[Row] = []
        for start in range(0, len(values), _IDS):
            named = ", ".join(f'"{value}"' for value in values[start : start + _IDS])
            found += self.fetch(table, f"{field} in [{named}] and {condition}", fields)
        return found

    def scan(self, table: str, condition: str, fields: Sequence[str]) -> Iterator[Row]:
        """All rows that meet a condition, in the order of their ids."""
        if self.address.folder is not None:  # gives rows in no order, so there are no pages
            yield from sorted(self.fetch(table, condition, fields), key=lambda row: str(row["id"]))
            return
        last, more = "", {**self._moment(False), "limit": _IDS}
        while True:
            page = self._fetch(table, f'id > "{last}" and {condition}', fields, more)
            page.sort(key=lambda row: str(row["id"]))
            yield from page
            if len(page) < _IDS:
                return
            last = page[-1]["id"]

    def count(self, table: str, condition: str) -> int:
        """How many rows meet a condition."""
        return int(self.fetch(table, condition, ["count(*)"])[0]["count(*)"])

    def nearest(
        self, table: str, vector: NDArray[np.float32], condition: str, limit: int, index: Index
    ) -> list[tuple[bytes, NDArray[np.float32]]]:
        """Owner and vector of the rows with the greatest inner products, best first.

        An approximate index may miss some. The products are not handed on: an index of shortened
        vectors would give inexact ones, and the vectors say it themselves.
        """
        settings = dict(index.search)
        if "ef" in settings:
            settings["ef"] = max(settings["ef"], limit)
        with _told(self.address):
            found = self._client.search(
                table,
                data=[vector],
                limit=min(limit, _MOST_HITS),
                filter=condition,
                output_fields=["person", "vector"],
                search_params={"metric_type": "IP", "params": settings},
                timeout=self.address.seconds,
                **self._moment(False),
            )[0]
        entities = [hit["entity"] for hit in found]
        return [(bytes.fromhex(e["person"]), np.asarray(e["vector"], np.float32)) for e in entities]

    def compact(self, table: str) -> None:
        """Ask the server to write a table anew without its deleted rows, which takes its time."""
        with _told(self.address):
            self._client.flush(table, timeout=self.address.seconds)
            self._client.compact(table, timeout=self.address.seconds)

    def close(self) -> None:
        """Let go of the connection, and of the folder when nobody else here uses it."""
        if self._closed:
            return
        self._closed = True
        with suppress(MilvusException, grpc.RpcError):
            self._client.close()
        self._leave()

    def _leave(self) -> None:
        if self.address.folder is not None:
            _LOCAL.leave(self.address.folder)


class _LocalServers:
    """How often each folder is open here: Milvus Lite has one server for it in the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: Counter[Path] = Counter()

    def enter(self, folder: Path) -> bool:
        """Count a use; whether it is the only one, so that nobody else can be at the folder."""
        with self._lock:
            self._uses[folder.resolve()] += 1
            return self._uses[folder.resolve()] == 1

    def leave(self, folder: Path) -> None:
        """Count a use less; the last one stops the server, which frees the folder."""
        from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415

        with self._lock:
            self._uses[folder.resolve()] -= 1
            if self._uses[folder.resolve()] <= 0:
                del self._uses[folder.resolve()]
                server_manager_instance.release_server(str(folder))


_LOCAL = _LocalServers()


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise GalleryMissingError(f"{folder} is a file; Milvus Lite keeps a gallery in a folder")
    if not folder.parent.is_dir():
        raise GalleryMissingError(f"there is no folder {folder.parent} to put {folder.name} into")


def _authority(address: MilvusAddress) -> dict[str, str]:
    path = os.environ.get(CA_VARIABLE, "")
    if not path or not address.uri.startswith("https:"):
        return {}
    if not Path(path).is_file():
        raise GalleryAccessError(f"{CA_VARIABLE} names {path}, which is no file")
    return {"server_pem_path": path}


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row["sealed"]) + 4 * len(row["vector"]) + 300
        if size > _INSERT_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def _told(address: MilvusAddress) -> Iterator[None]:
    """Milvus' errors as ours."""
    try:
        yield
    except MilvusException as error:
        # a refusal at the door is told as a failed connection; only its cause says which it is
        cause = str(error.__cause__ or "")
        reason = cause if "UNAUTHENTICATED" in cause else error.message
        raise _translated(address, int(error.code), reason) from error
    except grpc.RpcError as error:
        raise _translated(address, -1, str(error)) from error


def _translated(address: MilvusAddress, code: int, message: str) -> Exception:
    said, place = " ".join(message.split())[:300], address.text
    low = said.lower()

    def says(*words: str) -> bool:
        return any(word in low for word in words)

    kind: type[Exception] = GalleryServerError
    text = f"{place} cannot do what it should ({said})"
    if says("unauthenticated", "auth check", "permission deny"):
        kind, text = GalleryAccessError, f"{place} refuses the token; set {TOKEN_VARIABLE} right"
    elif says("deadline", "timeout", "timed out"):
        text = (
            f"{place} did not answer within {address.seconds:g} s; see whether it is well, or "
            "allow it more time with ?seconds="
        )
    elif says("open local milvus failed"):
        kind = GalleryConflictError
        text = (
            f"{place} cannot be opened: another program has it open, or it is no folder of "
            "Milvus Lite; one process at a time may use it"
        )
    elif code == _CONNECT_FAILED or says("unavailable"):
        text = f"there is no Milvus server at {place} ({said})"
        if address.uri.startswith("https:"):
            text += f"; or {CA_VARIABLE} does not name who vouches for its certificate"
    elif code == _COLLECTION_MISSING:
        kind, text = GalleryDamagedError, f"a part of the gallery {place} is missing ({said})"
    elif code in _QUOTA:
        kind, text = GalleryWriteError, f"{place} takes no more for now ({said})"
    return kind(text)
