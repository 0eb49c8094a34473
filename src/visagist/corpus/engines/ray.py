"""The engine of many machines: Ray Data maps the chunks over a pool of actors, here or anywhere.

Only positions in a file of jobs, and as much as "done" in return, go through Ray's object store;
workers read the jobs, the pictures and write the chunks on storage that all machines share. So
memory is bounded by the number of workers, whatever the number of pictures.

Ray retries what dies and nothing else, and an actor restarts 0 times unless told: both are set
here. Nothing is installed on the workers: they need the same visagist as the driver, and a worker
that has another, or does not see the folder, says so in one sentence.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

import ray
from ray import cloudpickle
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from visagist.corpus.engines.job import Job, RunChunk, one_thread, perform, told
from visagist.corpus.task import CorpusTask
from visagist.errors import DataError, InputError

__all__ = ["Ray"]

# Chunks on their way to a worker. A second one would wait there and count as killed with the first.
_IN_FLIGHT = 1
_CONNECT_SECONDS = 10.0
_MAX_BLOCKS = 4096  # each block costs the driver some bookkeeping
_OBJECT_STORE = (
    100 * 2**20
)  # bytes; near the least that Ray takes, since next to nothing goes there
_QUIET = ("ray", "ray.data")


class _Row(TypedDict):
    """Where a job lies in the file of jobs."""

    job: int
    offset: int
    length: int
    sha256: bytes


class Ray:
    """Runs jobs on Ray; an :class:`~visagist.corpus.engines.rescue.Attempt` inside ``with``.

    A Ray that runs already in this process is used and left running.

    Args:
        task: pickled once, sent to every worker.
        run_chunk: a function of a module.
        folder: where chunks are written; the jobs lie there while they run.
        workers: at least 1; ``None`` is one a core.
        address: of a cluster; ``None`` starts Ray on this machine, reachable from nowhere else.
        shared: what workers must see besides the folder.

    Raises:
        InputError: an address of Ray's client, which has no file system.
    """

    def __init__(
        self,
        task: CorpusTask,
        run_chunk: RunChunk,
        folder: Path,
        *,
        workers: int | None,
        address: str | None,
        shared: Sequence[Path],
    ) -> None:
        if address is not None and address.startswith("ray://"):
            raise InputError(
                f"{address} is an address for Ray's client; run the build on a machine of the "
                "cluster, with --address auto or HOST:PORT"
            )
        # by value what pickle takes by name: classes of a script or a notebook
        self._spec = cloudpickle.dumps((task, run_chunk))  # type: ignore[no-untyped-call]
        self._folder = folder.resolve()
        self._workers = workers
        self._address = address
        self._shared = tuple(path.resolve() for path in shared)
        self._ours = False

    def __enter__(self) -> Ray:
        """Start Ray or join the cluster.

        Raises:
            DataError: nobody answers at the address.
        """
        if ray.is_initialized():
            return self
        try:
            if self._address is None:
                one_thread()  # workers inherit it
                ray.init(
                    address="local",
                    num_cpus=self._workers,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            else:
                _knock(self._address)
                ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            where = "this machine" if self._address is None else self._address
            raise DataError(f"Ray does not run at {where}: {_first_line(error)}") from error
        self._ours = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started."""
        if self._ours:
            ray.shutdown()
            self._ours = False

    def __call__(
        self, jobs: Sequence[Job], *, tries: int, finished: Callable[[Job], None]
    ) -> list[Job]:
        """See :class:`~visagist.corpus.engines.rescue.Attempt`.

        Raises:
            DataError: a worker does not see the folder or is another version, or Ray gives up.
        """
        cores: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        workers = self._workers or int(cores.get("CPU", 1))
        open_jobs = dict(enumerate(jobs))
        file = self._folder / f"jobs-{os.getpid()}"
        try:
            with _quiet_and_tolerant():
                rows = ray.data.from_items(
                    _written(jobs, file), override_num_blocks=min(len(jobs), _MAX_BLOCKS)
                ).map(
                    _Worker,  # type: ignore[arg-type]  # a class whose objects are such functions
                    fn_constructor_args=(self._spec, file, self._shared, _version()),
                    compute=ActorPoolStrategy(
                        size=min(workers, len(jobs)), max_tasks_in_flight_per_actor=_IN_FLIGHT
                    ),
                    num_cpus=1,
                    max_restarts=-1,
                    max_task_retries=tries - 1,
                )
                for row in rows.iter_rows():
                    if row["error"]:
                        raise pickle.loads(row["error"])
                    finished(open_jobs.pop(row["job"]))
        except RayError as error:
            raise DataError(
                f"Ray gave up: {_first_line(error)}; run the same command again to go on from "
                "the chunks that are done"
            ) from error
        finally:
            file.unlink(missing_ok=True)
        return list(open_jobs.values())


class _Worker:
    """An actor of the pool.

    Args:
        spec: the pickled task and chunk function.
        file: the jobs.
        shared: what must be there.
        version: of the driver.
    """

    def __init__(self, spec: bytes, file: Path, shared: Sequence[Path], version: str) -> None:
        one_thread()
        self._spec = spec
        self._file = file
        self._shared = shared
        self._driver = version
        self._work: tuple[CorpusTask, RunChunk] | None = None

    def __call__(self, row: _Row) -> dict[str, Any]:
        """Run one job; what it raises travels as data, for Ray would take it for a lost block."""
        error = b""
        try:
            self._run(row)
        except Exception as fault:  # noqa: BLE001 - raised again in the driver, whatever it is
            error = pickle.dumps(told(fault))
        return {"job": row["job"], "error": error}

    def _run(self, row: _Row) -> None:
        if self._work is None:
            self._check()
            self._work = pickle.loads(self._spec)
        with self._file.open("rb") as stream:
            stream.seek(row["offset"])
            data = stream.read(row["length"])
        # whoever else can write to the shared folder must not get a say in what is unpickled
        if hashlib.sha256(data).digest() != row["sha256"]:
            raise DataError(f"{self._file} was changed while the build ran; run it again")
        task, run_chunk = self._work
        perform(task, run_chunk, pickle.loads(data))

    def _check(self) -> None:
        here = platform.node()
        if _version() != self._driver:
            raise DataError(
                f"machine {here} has visagist {_version()} and the driver {self._driver}; "
                "install the same version on every machine of the cluster"
            )
        for path in (self._file, *self._shared):
            if not path.exists():
                raise DataError(
                    f"machine {here} does not see {path}; on a cluster the output folder and the "
                    "sources must lie on storage that every machine mounts at the same path"
                )


def _written(jobs: Sequence[Job], file: Path) -> list[_Row]:
    """Write the jobs one after the other; where each one lies."""
    rows: list[_Row] = []
    offset = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        for number, job in enumerate(jobs):
            data = pickle.dumps(job.loaded())
            stream.write(data)
            digest = hashlib.sha256(data).digest()
            rows.append(_Row(job=number, offset=offset, length=len(data), sha256=digest))
            offset += len(data)
    return rows


@contextmanager
def _quiet_and_tolerant() -> Iterator[None]:
    """No bars and tracebacks of Ray's own; a lost block ends its jobs, not the run."""
    context = DataContext.get_current()
    before = (context.enable_progress_bars, context.max_errored_blocks)
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(sys.stderr):  # Ray tells of dead workers on stdout, where results go
            yield
    finally:
        context.enable_progress_bars, context.max_errored_blocks = before
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _knock(address: str) -> None:
    """See that somebody listens at HOST:PORT, for Ray itself waits minutes for nobody.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def _version() -> str:
    return metadata.version("visagist")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
