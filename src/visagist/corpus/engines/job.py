"""One chunk as a worker sees it, and what is tried again before an item is given up."""

from __future__ import annotations

import errno
import os
import time
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

# Seconds before the second and the third try; a fault that outlasts them is reported.
_PAUSES = (0.1, 1.0)
# What a shared disk or a network answers while it is in trouble. A file that is not there, or not
# ours to read, will not be so a second later either.
# Not every system knows all of them.
_PASSING_NAMES = (
    *("EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EREMOTEIO"),
    *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
    *("ENETRESET", "ENETUNREACH", "ESTALE", "ETIMEDOUT"),
)
_PASSING = {getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name)}

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
        """As the task does, up to three times while the system answers with a passing fault.

        Raises:
            SkippedItemError: the task's own, or ``system_error``, ``out_of_memory`` or
                ``worker_killed``.
        """
        if item.key in self._refused:
            raise SkippedItemError(
                "worker_killed", "the process died each time on this item: a crash, or its memory"
            )
        for pause in (*_PAUSES, None):
            try:
                return self._task.prepare(item)
            except SkippedItemError as error:
                if pause is None or not _is_passing(error):
                    raise
            except OSError as error:
                if pause is None or not _is_passing(error):
                    detail = error.strerror or str(error)
                    raise SkippedItemError("system_error", detail) from error
            except MemoryError as error:
                if pause is None:
                    detail = "the memory it needs was not to be had"
                    raise SkippedItemError("out_of_memory", detail) from error
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")


def _is_passing(error: BaseException) -> bool:
    """Whether the error, or one that it was raised from, may be gone on the next try."""
    if isinstance(error, OSError) and error.errno in _PASSING:
        return True
    return error.__cause__ is not None and _is_passing(error.__cause__)


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
