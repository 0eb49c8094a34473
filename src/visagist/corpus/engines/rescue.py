"""From chunks to finished chunks, though workers die: retry, find the item that kills, go on."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from visagist.corpus.engines.job import Job, Progress
from visagist.errors import DataError

__all__ = ["Attempt", "complete"]

# How often a chunk may lose its worker before its items are run one by one: twice can be chance
# (somebody else's memory, a machine that went away), three times is the chunk's own doing.
_TRIES = 3
_TRIES_ALONE = 2


class Attempt(Protocol):
    """What an engine is: something that runs jobs, many at once, in processes of their own."""

    def __call__(
        self, jobs: Sequence[Job], *, tries: int, finished: Callable[[Job], None]
    ) -> list[Job]:
        """Run every job until it is done or has lost its worker ``tries`` times.

        Args:
            jobs: in the order in which they are begun.
            tries: at least 1.
            finished: called with each job that is done.

        Returns:
            The jobs that are not done. What a job raises is raised.
        """
        ...


def complete(jobs: Sequence[Job], attempt: Attempt, progress: Progress | None = None) -> None:
    """Finish every chunk, without the items that kill their process.

    The items of a chunk that killed all its workers run alone, into folders that are thrown away;
    those that kill again are refused, and the chunk is run without them. That costs such a chunk
    about as much again, and the others nothing.

    Args:
        jobs: one a chunk, all with the same folder.
        attempt: the engine.
        progress: called with the number of items done and of all items.

    Raises:
        DataError: every item of a chunk kills, which is no fault of theirs, or a chunk dies
            though its items live.
    """
    done, total = 0, sum(len(job.items) for job in jobs)

    def finished(job: Job) -> None:
        nonlocal done
        done += len(job.items)
        if progress is not None:
            progress(done, total)

    lost = attempt(jobs, tries=_TRIES, finished=finished)
    if not lost:
        return
    killers = _killers(lost, attempt)
    spared = [replace(job, refused=frozenset(killers[job.number])) for job in lost]
    dead = attempt(spared, tries=_TRIES_ALONE, finished=finished)
    if dead:
        raise DataError(
            f"chunk {dead[0].number} kills its worker although its items live one by one; "
            "it may need more memory than there is: give a smaller --chunk or fewer --workers"
        )


def _killers(lost: Sequence[Job], attempt: Attempt) -> dict[int, set[str]]:
    """Chunk number -> keys of the items that kill their process even when they run alone."""
    scratch = lost[0].folder / "rescue"
    killers: dict[int, set[str]] = defaultdict(set)
    try:
        for job in attempt(list(_one_by_one(lost)), tries=_TRIES_ALONE, finished=lambda _: None):
            killers[job.number].add(job.items[0].key)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for job in lost:
        if len(killers[job.number]) == len(job.items) > 1:
            raise DataError(
                f"each of the {len(job.items)} items of chunk {job.number} kills its worker, so "
                "the fault is not in them; run the build with --engine serial to see what happens"
            )
    return killers


def _one_by_one(lost: Sequence[Job]) -> Iterator[Job]:
    for job in lost:
        for k, item in enumerate(job.items):
            folder = job.folder / "rescue" / f"{job.number:05d}-{k}"
            yield replace(job, items=(item,), folder=folder)
