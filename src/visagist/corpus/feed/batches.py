"""Batches made ahead of the trainer, so that it never waits; only trainers import this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from visagist.corpus.feed.stream import ShardStream, StreamedFace

Batch = TypeVar("Batch")


class Ahead(Generic[Batch]):
    """Makes the batches of the next steps in threads while the trainer is busy with this one.

    Threads are enough: decoding, warping and tensor operations let go of the interpreter. A batch
    must be a function of its step; then it is the same whatever the number of workers, and a run
    that was stopped goes on with the same batches. With one worker, batches are made in order.

    A worker computes on one core. So batches do not depend on the number of cores either, to the
    last bit, and workers do not fight the trainer over them.

    Args:
        make: step -> batch.
        steps: no batch is made for this step and later ones.
        workers: threads; 0 makes each batch when it is asked for, in a thread all the same.
        depth: batches that wait at most; two a worker by default.
    """

    def __init__(
        self,
        make: Callable[[int], Batch],
        *,
        steps: int,
        workers: int = 1,
        depth: int | None = None,
    ) -> None:
        self._make, self._steps = make, steps
        self._depth = 2 * workers if depth is None else depth
        # Asking settles this thread's number before a worker sets its own.
        torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            max(1, workers), "batches", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._waiting: dict[int, Future[Batch]] = {}

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step; steps are usually asked for in order."""
        if step not in self._waiting:
            self._drop()
        for later in range(step, min(step + 1 + self._depth, max(self._steps, step + 1))):
            if later not in self._waiting:
                self._waiting[later] = self._pool.submit(self._make, later)
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Stop making batches."""
        self._drop()
        self._pool.shutdown()

    def _drop(self) -> None:
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()


class StreamBatches:
    """Step -> (crops, meshes) from a stream; in order it reads on, otherwise it finds its place.

    Args:
        stream: where faces come from.
        batch: faces a step.
        workers: threads that decode.
    """

    def __init__(self, stream: ShardStream, batch: int, *, workers: int = 1) -> None:
        self.stream, self.batch, self.workers = stream, batch, workers
        self._faces: Iterator[StreamedFace] | None = None
        self._next = -1

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """(B, S, S, 3) uint8 crops and (B, 478, 3) float32 meshes in crop pixels."""
        if self._faces is None or step != self._next:
            self._faces = self.stream.faces(step * self.batch, workers=self.workers)
        self._next = step + 1
        faces = list(islice(self._faces, self.batch))
        crops = torch.from_numpy(np.stack([face.crop for face in faces]))
        return crops, torch.from_numpy(np.stack([face.mesh for face in faces]))
