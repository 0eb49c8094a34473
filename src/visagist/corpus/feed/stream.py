"""A stream over shards, for sets that are too large to be kept decoded.

The order of a pass is a function of the seed and the number of the pass: shards are shuffled and
read one after the other, and a buffer mixes what lies next to each other. So the place in the
stream is one number, the samples seen so far, and a stream that starts there goes on exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import crop_mesh, cut_crop
from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.index import Record
from visagist.errors import DataError, InputError


class StreamedFace(NamedTuple):
    """One sample of a stream.

    Attributes:
        number: of the record among those given to the stream.
        crop: (S, S, 3) uint8.
        mesh: (478, 3) float32 in crop pixels.
    """

    number: int
    crop: NDArray[np.uint8]
    mesh: NDArray[np.float32]


class ShardStream:
    """Endless faces of a corpus in a mixed order, read shard by shard.

    Args:
        corpus: where the shards lie.
        records: what to stream, from :func:`~visagist.corpus.feed.selection.select_faces`.
        config: how faces are cropped.
        seed: of the order.
        buffer: encoded pictures that are held in memory to mix neighbours.
        rank: number of this reader.
        world: number of readers; each sees its own share of every pass: whole shards where there
            are enough of them, else every ``world``-th sample.

    Raises:
        InputError: ``rank`` is not below ``world``, or the buffer is empty.
        DataError: there are fewer samples than readers.
    """

    def __init__(
        self,
        corpus: Corpus,
        records: Sequence[Record],
        config: FeedConfig,
        *,
        seed: int = 0,
        buffer: int = 1024,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 0 <= rank < world or buffer < 1:
            raise InputError(f"reader {rank} of {world} with a buffer of {buffer} makes no stream")
        if len(records) < world:
            raise DataError(f"{len(records)} faces are too few for {world} readers")
        self.corpus, self.records, self.config = corpus, records, config
        self.seed, self.buffer, self.rank, self.world = seed, buffer, rank, world
        shards: dict[str, list[int]] = {}
        for number, record in enumerate(records):
            shards.setdefault(record.shard, []).append(number)
        # in the order in which they lie in the file
        self._shards = [
            np.array(sorted(shards[name], key=lambda n: records[n].offset), np.int64)
            for name in sorted(shards)
        ]

    def order(self, start: int = 0) -> Iterator[int]:
        """Numbers of the records, without end, from the ``start``-th sample on."""
        for _, leaving in self._steps(start):
            yield leaving

    def encoded(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """(number of the record, encoded picture), each read when its turn in the shard comes.

        Raises:
            DataError: a shard cannot be read.
        """
        held: dict[int, bytes] = {}
        for arriving, leaving in self._steps(start):
            for number in arriving:
                held[number] = self.corpus.picture(self.records[number])
            # What entered the buffer before the start was not read then.
            data = held.pop(leaving, None)
            yield leaving, self.corpus.picture(self.records[leaving]) if data is None else data

    def faces(self, start: int = 0, *, workers: int = 1) -> Iterator[StreamedFace]:
        """Decoded faces in the order of the stream, whatever the number of workers.

        Args:
            start: samples seen so far.
            workers: threads that decode.

        Raises:
            DataError: a shard cannot be read or a picture is damaged.
        """
        waiting: deque[Future[StreamedFace]] = deque()
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            for number, data in self.encoded(start):
                waiting.append(pool.submit(self._decode, number, data))
                if len(waiting) > 4 * max(1, workers):
                    yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _decode(self, number: int, data: bytes) -> StreamedFace:
        record, config = self.records[number], self.config
        return StreamedFace(number, cut_crop(data, record, config), crop_mesh(record, config))

    def _steps(self, start: int) -> Iterator[tuple[list[int], int]]:
        """(what enters the buffer, what leaves it) for each sample from ``start`` on."""
        skip = start
        for number in count():
            rng = np.random.default_rng((self.seed, number))
            order = self._sequence(rng)
            if skip >= len(order):
                skip -= len(order)
                continue
            for i, step in enumerate(self._mixed(order, rng)):
                if i >= skip:
                    yield step
            skip = 0

    def _sequence(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The records of a pass of this reader, as they lie in the shuffled shards."""
        shards = rng.permutation(len(self._shards))
        if len(shards) >= self.world:
            mine = [self._shards[int(i)] for i in shards[self.rank :: self.world]]
            return np.concatenate(mine)
        return np.concatenate([self._shards[int(i)] for i in shards])[self.rank :: self.world]

    def _mixed(
        self, order: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[list[int], int]]:
        numbers = order.tolist()
        chosen = rng.random(len(numbers)).tolist()
        held, taken = numbers[: self.buffer], min(self.buffer, len(numbers))
        arriving = list(held)
        for draw in chosen:
            place = int(draw * len(held))
            leaving = held[place]
            yield arriving, leaving
            arriving = []
            if taken < len(numbers):
                held[place] = numbers[taken]
                arriving = [numbers[taken]]
                taken += 1
            else:
                held[place] = held[-1]
                held.pop()
