"""Reads a corpus that ``visagist corpus build`` has written.

corpus = Corpus.open("OUT")
faces = corpus.select(splits=("train",), use="makeup")
sample = corpus.load(faces[0])
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from visagist.corpus.index import Record, read_records, read_table
from visagist.corpus.sample import SPLITS, USES, Sample
from visagist.corpus.shards import decode_sample, read_bytes_at, read_members
from visagist.errors import DataError, InputError

FORMAT = 1
"""Version of the layout on disk."""
SUMMARY, INDEX, REPORT, SHARDS = "corpus.json", "index.parquet", "report.jsonl", "shards"


@dataclass(frozen=True)
class Corpus:
    """A finished corpus.

    Attributes:
        path: its folder.
        summary: contents of ``corpus.json``: format, settings, counts, SHA-256 of the index.
    """

    path: Path
    summary: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """Open the folder of a finished corpus.

        Raises:
            DataError: there is no corpus, it is not finished, or its layout is not known.
        """
        folder = Path(path)
        try:
            summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
            version = summary["format"]
        except FileNotFoundError as error:
            raise DataError(
                f"{folder}: no finished corpus here; `visagist corpus build ... -o {folder}` "
                "makes one, or goes on with one"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / SUMMARY}: cannot be read ({error})") from error
        if version != FORMAT:
            raise DataError(f"{folder}: layout {version} is not known, only {FORMAT}; build again")
        return cls(folder, MappingProxyType(summary))

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Every sample, in the order of the shards."""
        return tuple(read_records(self.path / INDEX))

    def table(self, columns: Iterable[str] | None = None) -> Any:  # noqa: ANN401  (pyarrow is untyped)
        """The index, or some of its columns, as a ``pyarrow.Table``."""
        return read_table(self.path / INDEX, None if columns is None else list(columns))

    def select(
        self,
        *,
        splits: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        use: str | None = None,
    ) -> tuple[Record, ...]:
        """The samples that fit, in order.

        Args:
            splits: any of train, validation and test; all by default.
            kinds: any of photo, generated, head and blend; all by default.
            use: one of ``USES``; only samples that allow it.

        Raises:
            InputError: an unknown split or use.
        """
        wanted = None if splits is None else frozenset(splits)
        if wanted is not None and not wanted <= set(SPLITS):
            raise InputError(f"splits are {', '.join(SPLITS)}, not {sorted(wanted - set(SPLITS))}")
        if use is not None and use not in USES:
            raise InputError(f"uses are {', '.join(USES)}, not {use!r}")
        of = None if kinds is None else frozenset(kinds)
        return tuple(
            record
            for record in self.records
            if (wanted is None or record.split in wanted)
            and (of is None or record.origin.kind in of)
            and (use is None or use in record.origin.uses)
        )

    def load(self, record: Record) -> Sample:
        """The whole sample, its picture decoded.

        Raises:
            DataError: the shard cannot be read or does not fit the index.
        """
        sample = decode_sample(read_members(self._shard(record), record.offset))
        if sample.key != record.key:
            raise DataError(f"{self.path}: the index and {record.shard} do not fit; build again")
        return sample

    def picture(self, record: Record) -> bytes:
        """The encoded picture of a sample, for those who need no more.

        Raises:
            DataError: the shard cannot be read.
        """
        return read_bytes_at(self._shard(record), record.offset, record.length)

    def _shard(self, record: Record) -> Path:
        return self.path / SHARDS / record.shard
