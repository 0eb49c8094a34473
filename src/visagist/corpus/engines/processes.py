"""The engine of one machine: worker processes, each with one chunk at a time.

The workers are kept here rather than in a ``ProcessPoolExecutor``, because a pool that loses one
process gives up on all its work and does not say which of it was fatal. A worker is spawned, not
forked: forked copies of ONNX Runtime and of a GL context hang.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from visagist.corpus.engines.job import Job, RunChunk, one_thread, perform, told
from visagist.corpus.task import CorpusTask
from visagist.errors import DataError

__all__ = ["Processes"]

_CONTEXT = multiprocessing.get_context("spawn")
_STOP_SECONDS = 5.0


class Processes:
    """Runs jobs in worker processes; an :class:`~visagist.corpus.engines.rescue.Attempt`.

    A worker gets its next chunk when it has answered for the last one. So no more chunks than
    workers are ever on their way, and a dead worker says which chunk was its last.

    Args:
        task: pickled once, sent to every worker.
        run_chunk: a function of a module.
        workers: at least 1.
    """

    def __init__(self, task: CorpusTask, run_chunk: RunChunk, workers: int) -> None:
        self._spec = pickle.dumps((task, run_chunk))
        self._workers = workers

    def __call__(
        self, jobs: Sequence[Job], *, tries: int, finished: Callable[[Job], None]
    ) -> list[Job]:
        """See :class:`~visagist.corpus.engines.rescue.Attempt`.

        Raises:
            DataError: a worker dies before it has begun.
        """
        todo = deque(range(len(jobs)))
        deaths: Counter[int] = Counter()
        lost: list[Job] = []
        crew: list[_Worker] = []
        try:
            while todo or crew:
                waiting = sum(worker.job is None for worker in crew)
                for _ in range(min(self._workers - len(crew), len(todo) - waiting)):
                    crew.append(_Worker(self._spec))
                answers = wait([worker.connection for worker in crew])
                for worker in [worker for worker in crew if worker.connection in answers]:
                    k = worker.job
                    if worker.answered():
                        if k is not None:
                            finished(jobs[k])
                        if todo:
                            worker.send(todo.popleft(), jobs)
                            continue
                        worker.stop()
                    elif k is not None:
                        deaths[k] += 1
                        if deaths[k] < tries:
                            todo.append(k)
                        else:
                            lost.append(jobs[k])
                    crew.remove(worker)
        finally:
            for worker in crew:
                worker.stop()
        return lost


class _Worker:
    """One process and the pipe to it.

    Args:
        spec: the pickled task and chunk function.

    Attributes:
        connection: readable when there is an answer, or no process any more.
        job: the position of the job that it has, or None.
    """

    def __init__(self, spec: bytes) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.job: int | None = None
        self._ready = False
        self._process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        with _children_on_one_thread():
            self._process.start()
        theirs.close()  # so that the pipe breaks when the worker dies
        with suppress(BrokenPipeError):  # dead already: answered() will say so
            self.connection.send_bytes(spec)

    def send(self, k: int, jobs: Sequence[Job]) -> None:
        """Begin a job; the worker must have answered."""
        self.job = k
        with suppress(BrokenPipeError):  # as above
            self.connection.send(jobs[k].loaded())

    def answered(self) -> bool:
        """Take its answer; False when it died over its job.

        Raises:
            DataError: it died before it could begin.
            Exception: what the job raised.
        """
        try:
            fault: Exception | None = self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            self.stop()
            if self._ready:
                return False
            raise DataError(
                f"a worker process ended with code {self._process.exitcode} before it could "
                "begin; what it said stands above, and --engine serial does without workers"
            ) from error
        self._ready = True
        self.job = None
        if fault is not None:
            raise fault
        return True

    def stop(self) -> None:
        """End the process now; a chunk that it was writing stays undone."""
        self.connection.close()  # an idle worker leaves by itself
        if self.job is not None:
            self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection) -> None:
    """What a worker does: say that it is ready, then run jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the driver stops us
    # from our own driver over a pipe; here rather than in Process(args=...), where it would be
    # pickled again for every worker
    task, run_chunk = pickle.loads(connection.recv_bytes())
    answer: Exception | None = None
    with suppress(EOFError, BrokenPipeError):  # the driver is gone; what is written is written
        while True:
            connection.send(answer)
            job: Job = connection.recv()
            answer = None
            try:
                perform(task, run_chunk, job)
            except Exception as error:  # noqa: BLE001 - raised again in the driver, whatever it is
                answer = told(error)


@contextmanager
def _children_on_one_thread() -> Iterator[None]:
    """Libraries read these variables while they are loaded, before any code of ours runs."""
    before = dict(os.environ)
    one_thread()
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
