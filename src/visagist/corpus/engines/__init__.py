"""Who runs the chunks of a build: this process, worker processes, or Ray on one or many machines.

A chunk is a few items and the unit that is done or not done: the function handed in writes its
result under a temporary name and renames it. An engine only maps that function over chunks, so
every engine leaves the same bytes, and whatever kills a worker, a machine or the whole run loses
nothing and doubles nothing.

What every engine keeps to:

* at most a few chunks are on their way at any moment, and pictures never travel between processes;
* a worker computes on one thread, because chunks are what runs in parallel;
* an item that meets a passing fault of the disk or the network is tried again (``job.py``);
* a chunk whose worker dies is tried again, and in the end item by item, so that only the item that
  kills its process is lost, with a line in the report (``rescue.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from visagist.corpus.engines.job import Job, Progress, RunChunk, perform
from visagist.corpus.engines.ray_settings import before_import
from visagist.corpus.engines.rescue import complete
from visagist.corpus.task import CorpusTask, Item
from visagist.errors import InputError

__all__ = ["Engine", "Progress", "RunChunk", "default_workers", "run"]

Engine = Literal["serial", "processes", "ray"]


def default_workers() -> int:
    """The cores this process may use."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return count() or 1


def run(
    engine: Engine,
    task: CorpusTask,
    chunks: Mapping[int, Sequence[Item]],
    folder: Path,
    *,
    run_chunk: RunChunk,
    workers: int | None = None,
    address: str | None = None,
    shared: Sequence[Path] = (),
    progress: Progress | None = None,
) -> None:
    """Run every chunk once.

    Args:
        engine: ``serial`` runs in this process and dies with it; ``processes`` in worker processes
            of this machine; ``ray`` on Ray, here or on a cluster.
        task: what is done to an item; pickled once for every worker.
        chunks: the chunks to run, number -> items; those already done are left out. Items are
            looked at only when their chunk is begun (``ray``: once before the start).
        folder: where chunks are written; on a cluster it is on storage that all machines share.
        run_chunk: runs and writes one chunk; a function of a module, since workers import it.
        workers: how many chunks run at once; ``None`` is one a core of this machine, or of the
            cluster.
        address: ``ray`` only: the cluster's address; ``None`` starts Ray on this machine.
        shared: ``ray`` only: files and folders that every worker must see, such as the sources.
        progress: called with the number of items done and of all items.

    Raises:
        InputError: ``workers`` is below 1, or an address comes with an engine that has no use
            for it.
        DataError: workers do not start, do not see the folder, or die on every item.
        ModuleNotFoundError: ``ray`` is not installed.
        VisagistError: whatever ``run_chunk`` raised; the chunks written before it stay.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    if address is not None and engine != "ray":
        raise InputError("only the engine ray takes an address; give --engine ray")
    if not chunks:
        return
    jobs = [Job(number, items, folder) for number, items in chunks.items()]
    if engine == "serial":
        _serial(task, jobs, run_chunk, progress)
    elif engine == "processes":
        # imported here so that each engine costs only those who use it
        from visagist.corpus.engines.processes import Processes  # noqa: PLC0415

        complete(jobs, Processes(task, run_chunk, workers or default_workers()), progress)
    else:
        before_import(address)
        from visagist.corpus.engines.ray import Ray  # noqa: PLC0415

        with Ray(
            task, run_chunk, folder, workers=workers, address=address, shared=shared
        ) as attempt:
            complete(jobs, attempt, progress)


def _serial(
    task: CorpusTask, jobs: Sequence[Job], run_chunk: RunChunk, progress: Progress | None
) -> None:
    done, total = 0, sum(len(job.items) for job in jobs)
    for job in jobs:
        perform(task, run_chunk, job.loaded())
        done += len(job.items)
        if progress is not None:
            progress(done, total)
