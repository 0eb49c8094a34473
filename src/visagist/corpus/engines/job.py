"""One chunk as a worker sees it, and what is tried again before an item is given up."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from visagist.corpus.sample import Sample
from visagist.corpus.task import CorpusTask, Item, SkippedItemError
from visagist.errors import VisagistError

__all__ = ["Job", "PatientTask", "Progress", "RunChunk", "one_thread", "perform", "told"]

Progress = Callable[[int, int], None]

# A fault of the disk or the network that lasts is not cured by a third try.
ATTEMPTS = 3

# One thread a worker: OpenMP, BLAS and Mesa's software renderer each start one a core otherwise.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "LP_NUM_THREADS",
)


class RunChunk(Protocol):
    """Prepares the items of a chunk and writes them, all or nothing."""

    def __call__(
        self, task: CorpusTask, number: int, items: Sequence[Item], folder: Path
    ) -> object:
        """Write chunk ``number`` into ``folder``; the answer is not used.

        An item that raises :class:`SkippedItemError` becomes a line of the report.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk to run.

    Attributes:
        number: of the chunk.
        items: its items, in order; they may lie on disk until somebody looks at them.
        folder: where it is written.
        refused: keys of items that killed their process; they are reported, not prepared.
    """

    number: int
    items: Sequence[Item]
    folder: Path
    refused: frozenset[str] = frozenset()

    def loaded(self) -> Job:
        """The same with its items in memory, as it travels to a worker."""
        return replace(self, items=tuple(self.items))


class PatientTask:
    """A task that is tried again on passing faults, and that refuses the items that kill.

    The engines differ in nothing else than where this runs, hence the same report everywhere.
    """

    def __init__(self, task: CorpusTask, refused: frozenset[str] = frozenset()) -> None:
        self._task = task
        self._refused = refused

    def items(self) -> Iterable[Item]:
        """Those of the task itself."""
        return self._task.items()

    def describe(self) -> dict[str, object]:
        """That of the task itself."""
        return self._task.describe()

    def prepare(self, item: Item) -> list[Sample]:
        """As the task does, up to three times while the system says that it cannot.

        Raises:
            SkippedItemError: the task's own, or ``system_error``, ``out_of_memory`` or
                ``worker_killed``.
        """
        if item.key in self._refused:
            raise SkippedItemError(
                "worker_killed", "the process died each time on this item: a crash, or its memory"
            )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._task.prepare(item)
            except MemoryError as error:
                if attempt == ATTEMPTS:
                    raise SkippedItemError(
                        "out_of_memory", "its memory was not to be had"
                    ) from error
            except OSError as error:
                if attempt == ATTEMPTS:
                    raise SkippedItemError("system_error", error.strerror or str(error)) from error
        raise AssertionError("unreachable")


def perform(task: CorpusTask, run_chunk: RunChunk, job: Job) -> None:
    """Run one chunk in this process; the folder is made if need be."""
    job.folder.mkdir(parents=True, exist_ok=True)
    run_chunk(PatientTask(task, job.refused), job.number, job.items, job.folder)


def told(error: Exception) -> Exception:
    """The error with where it came from as a note, for the traceback stays in its process."""
    if not isinstance(error, VisagistError):
        error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
    return error


def one_thread() -> None:
    """Ask libraries that are loaded from now on for one thread, where the user has not chosen."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")
