"""What the end of a build needs to know of every sample, in columns: some 500 bytes each."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.build.chunk import read_chunk, tar_path
from visagist.corpus.build.config import BuildConfig
from visagist.corpus.fingerprints import THUMBNAIL
from visagist.corpus.shards import split_members
from visagist.errors import DataError

_OPEN_FILES = 64


@dataclass(frozen=True)
class Gathered:
    """Columns over all samples, in the order of the items.

    Attributes:
        keys: (N,) uint64, the sample's key.
        bits: (N,) uint64 fingerprints.
        thumbnails: (N, 256) uint8, a memory map.
        sharpness: (N,) float32.
        compared: (N,) bool, of a kind that is searched for near-duplicates.
        person: (N,) index into ``people``.
        people: name of each person; a picture of an unknown one is its own.
        given: person's name -> splits that its pictures were given.
        linked: pairs of names that belong into one split: a blend and its parents.
        names: SOURCE/ITEM of each sample.
        chunk: (N,) number of the chunk.
        start: (N,) first byte of the sample in the chunk's tar file.
        length: (N,) of the sample in bytes.
    """

    keys: NDArray[np.uint64]
    bits: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    sharpness: NDArray[np.float32]
    compared: NDArray[np.bool_]
    person: NDArray[np.int64]
    people: list[str]
    given: dict[str, set[str]]
    linked: set[tuple[str, str]]
    names: list[str]
    chunk: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)


def gather(work: Path, chunks: int, config: BuildConfig) -> Gathered:
    """Read what the chunks of a build say about their samples.

    Raises:
        DataError: a chunk is damaged.
    """
    keys, bits, sharpness = array("Q"), array("Q"), array("f")
    compared, person, chunk, start, length = (array(code) for code in "bqqqq")
    names: list[str] = []
    numbers: dict[str, int] = {}
    given: dict[str, set[str]] = {}
    linked: set[tuple[str, str]] = set()
    path = work / "thumbnails.bin"
    with path.open("wb") as thumbnails:
        for number in range(chunks):
            for row in read_chunk(work, number)[0]:
                labels, origin = row.labels, row.labels["origin"]
                who = person_of(origin)
                splits = given.setdefault(who, set())
                if origin["split"]:
                    splits.add(origin["split"])
                linked |= {(who, parent) for parent in origin["parents"]}
                keys.append(int(labels["key"], 16))
                bits.append(int(labels["fingerprint"], 16))
                sharpness.append(labels["quality"]["sharpness"])
                compared.append(origin["kind"] in config.duplicates.kinds)
                person.append(numbers.setdefault(who, len(numbers)))
                names.append(f"{origin['source']}/{origin['item']}")
                chunk.append(number)
                start.append(row.start)
                length.append(row.length)
                thumbnails.write(row.thumbnail)
    return Gathered(
        keys=np.array(keys, np.uint64),
        bits=np.array(bits, np.uint64),
        thumbnails=_mapped(path, len(names)),
        sharpness=np.array(sharpness, np.float32),
        compared=np.array(compared, np.bool_),
        person=np.array(person, np.int64),
        people=list(numbers),
        given=given,
        linked=linked,
        names=names,
        chunk=np.array(chunk, np.int64),
        start=np.array(start, np.int64),
        length=np.array(length, np.int64),
    )


def person_of(origin: dict[str, Any]) -> str:
    """The identity, or where it is not known the photo: its faces stay together."""
    if origin["identity"]:
        return str(origin["identity"])
    return f"{origin['source']}/{str(origin['item']).partition('#')[0]}"


def _mapped(path: Path, count: int) -> NDArray[np.uint8]:
    shape = (count, THUMBNAIL * THUMBNAIL)
    if count == 0:  # an empty file cannot be mapped
        return np.empty(shape, np.uint8)
    return np.memmap(path, np.uint8, "r", shape=shape)


class SampleFiles:
    """Reads single samples out of the chunks' tar files, a few of which stay open."""

    def __init__(self, work: Path, gathered: Gathered) -> None:
        self._work, self._of = work, gathered
        self._files: OrderedDict[int, IO[bytes]] = OrderedDict()

    def __enter__(self) -> SampleFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def read(self, index: int) -> bytes:
        """A sample as it lies in the tar file, headers and padding included.

        Raises:
            DataError: the file is not there or too short.
        """
        number = int(self._of.chunk[index])
        try:
            file = self._open(number)
            file.seek(int(self._of.start[index]))
            data = file.read(int(self._of.length[index]))
        except OSError as error:
            raise _damaged(tar_path(self._work, number), error.strerror) from error
        if len(data) != self._of.length[index]:
            raise _damaged(tar_path(self._work, number), "too short")
        return data

    def members(self, index: int) -> dict[str, bytes]:
        """The members of a sample by extension."""
        return split_members(self.read(index))

    def _open(self, number: int) -> IO[bytes]:
        if number in self._files:
            self._files.move_to_end(number)
            return self._files[number]
        if len(self._files) >= _OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        self._files[number] = tar_path(self._work, number).open("rb")
        return self._files[number]


def _damaged(path: Path, reason: str | None) -> DataError:
    return DataError(
        f"{path}: damaged ({reason}); delete {path.with_suffix('.json').name} beside it, and the "
        "build makes this chunk again"
    )
