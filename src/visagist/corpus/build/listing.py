"""The items of a build, cut into chunks, on disk: a million files must not fill the memory."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import overload

from visagist.corpus.task import Item

PREFIX = ".visagist-list-"
"""Of the temporary file's name, where the system cannot make one without a name."""


class Listing:
    """What a task lists, in chunks that are loaded when somebody looks.

    The items lie in a nameless temporary file that is gone with the process, so that nobody else
    can write what is unpickled here.

    Args:
        items: of the task, in order.
        chunk: items in a chunk.
        folder: where the temporary file lies.

    Attributes:
        count: of items.
        digest: SHA-256 over the keys, in order.
    """

    def __init__(self, items: Iterable[Item], chunk: int, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(  # noqa: SIM115  (closed by __exit__)
            dir=folder, prefix=PREFIX
        )
        self._starts, self._sizes = array("Q"), array("Q")
        digest, source = hashlib.sha256(), iter(items)
        try:
            while block := list(islice(source, chunk)):
                self._starts.append(self._file.tell())
                self._sizes.append(len(block))
                pickle.dump(block, self._file)
                for item in block:
                    digest.update(item.key.encode("utf-8", "surrogateescape") + b"\n")
        except BaseException:
            self._file.close()
            raise
        self.count, self.digest = sum(self._sizes), digest.hexdigest()

    def __enter__(self) -> Listing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self._sizes)

    def pending(self, numbers: Sequence[int]) -> Mapping[int, Sequence[Item]]:
        """Some of the chunks by number; a chunk is read when its items are asked for."""
        return _Pending(self, numbers)

    def size(self, number: int) -> int:
        """Items in a chunk."""
        return self._sizes[number]

    def load(self, number: int) -> list[Item]:
        """The items of a chunk."""
        self._file.seek(self._starts[number])
        items: list[Item] = pickle.load(self._file)  # written above, by this process
        return items


class _Pending(Mapping[int, Sequence[Item]]):
    def __init__(self, listing: Listing, numbers: Sequence[int]) -> None:
        self._listing, self._numbers = listing, dict.fromkeys(numbers)

    def __getitem__(self, number: int) -> Sequence[Item]:
        if number not in self._numbers:
            raise KeyError(number)
        return _Chunk(self._listing, number)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class _Chunk(Sequence[Item]):
    """Knows its length without reading anything."""

    def __init__(self, listing: Listing, number: int) -> None:
        self._listing, self._number = listing, number

    def __len__(self) -> int:
        return self._listing.size(self._number)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        return self._listing.load(self._number)[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._listing.load(self._number))
