"""How fast a gallery is on this machine: enrolling, opening, searching, and its memory.

People are made up: unit vectors in families (so that strangers are near somebody, as real faces
are), and a mated probe scores about 0.8 with its own template. Times depend on the number and the
length of vectors, not on whose they are.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.gallery.crypto import new_key
from visagist.gallery.gallery import Gallery, Submission

__all__ = ["benchmark_gallery", "made_people", "made_probes"]

MODEL = "made-up-0-000000000000"
THRESHOLD = 0.6
_FAMILY = 20  # people of a family
_AT_ONCE = 1000  # people of one transaction while a gallery is filled
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Vectors = NDArray[np.float32]


def made_people(count: int, dimension: int, seed: int = 0) -> Vectors:
    """(count, dimension) unit vectors; members of a family score about 0.3 with each other."""
    rng = np.random.default_rng(seed)
    families = rng.normal(size=(max(1, count // _FAMILY), dimension)).astype(np.float32)
    own = rng.normal(size=(count, dimension)).astype(np.float32)
    return _unit(
        np.sqrt(np.float32(0.3)) * families[np.arange(count) % len(families)]
        + np.sqrt(np.float32(0.7)) * own
    )


def made_probes(people: Vectors, seed: int = 1) -> Vectors:
    """Another picture of each: unit vectors with a cosine of about 0.8."""
    noise = np.random.default_rng(seed).normal(size=people.shape).astype(np.float32)
    return _unit(people + np.float32(0.75 / np.sqrt(people.shape[1])) * noise)


def benchmark_gallery(
    people: int = 100_000,
    *,
    dimension: int = 128,
    queries: int = 200,
    enrolments: int = 200,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Fill a gallery and measure it, in a process of its own and on one thread.

    Args:
        people: how many are in it.
        dimension: length of their vectors.
        queries: searches, half of enrolled people and half of strangers.
        enrolments: how many people are enrolled one by one, each a transaction on the disk.
        folder: where the file lies meanwhile; the system's temporary folder when ``None``.
        progress: called with how many people are enrolled and how many there are to be.

    Returns:
        ``search_p50_ms``, ``search_p95_ms`` and ``search_min_ms``; beside them ``floor_p50_ms``
        (one matrix product of numpy, the least an exact search can be) and ``ceiling_p50_ms``
        (distances to everybody, all of them sorted: what comparing faces by hand comes to);
        ``megabytes``, the largest resident memory of the whole process that opened and searched,
        and ``index_megabytes``, of its vectors; ``open_s``; ``enroll_per_s``, one by one, and
        ``enroll_many_per_s``, a thousand at once; ``file_megabytes``; ``mated_found`` and
        ``strangers_named``, shares that show that the searches did their work.
    """
    vectors = made_people(people, dimension)
    key = new_key()
    with tempfile.TemporaryDirectory(dir=folder) as work:
        path = Path(work) / "benchmark.gallery"
        rates = _filled(path, key, vectors, enrolments, progress)
        size = path.stat().st_size
        opened = _in_own_process(path, key, vectors, _probes(vectors, queries))
    return {"people": people, **opened, **rates, "file_megabytes": round(size / 1e6, 1)}


def _filled(
    path: Path,
    key: bytes,
    vectors: Vectors,
    enrolments: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, float]:
    """Enrol everybody: most of them in large transactions, the last ones each by themselves."""
    count, dimension = vectors.shape
    alone = min(enrolments, count // 2)
    many = count - alone
    until = date(date.today().year + 5, 1, 1)
    with Gallery.create(path, model_id=MODEL, dimension=dimension, key=key) as gallery:
        start = time.perf_counter()
        for first in range(0, many, _AT_ONCE):
            last = min(first + _AT_ONCE, many)
            batch = [
                Submission(f"Person {i}", vectors[i], "made up", until) for i in range(first, last)
            ]
            gallery.enroll_many(batch, model_id=MODEL)
            if progress is not None:
                progress(last, count)
        between = time.perf_counter()
        for i in range(many, count):
            gallery.enroll(
                f"Person {i}", vectors[i], model_id=MODEL, consent="made up", retain_until=until
            )
        end = time.perf_counter()
    if progress is not None:
        progress(count, count)
    return {
        "enroll_per_s": round(alone / (end - between), 1),
        "enroll_many_per_s": round(many / (between - start), 1),
    }


def _in_own_process(path: Path, key: bytes, people: Vectors, probes: Vectors) -> dict[str, float]:
    """Measure in a fresh process: its memory is the gallery's alone, its BLAS has one thread."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            return pool.apply(_measured, (path, key, people.shape, probes))
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _measured(path: Path, key: bytes, shape: tuple[int, int], probes: Vectors) -> dict[str, float]:
    start = time.perf_counter()
    with Gallery.open(path, key=key) as gallery:
        opened = time.perf_counter() - start
        answers, times = [], []
        for probe in probes:
            start = time.perf_counter()
            answers.append(gallery.search(probe, model_id=MODEL, threshold=THRESHOLD))
            times.append(time.perf_counter() - start)
        memory = _peak_megabytes()
    mated = len(probes) // 2
    named = [answer.decision == "known" for answer in answers]
    vectors = made_people(*shape)  # only now, so that they are not counted
    return {
        **_told("search", times),
        **_told("floor", _timed(probes, lambda probe: vectors @ probe)),
        **_told("ceiling", _timed(probes, lambda probe: _by_hand(vectors, probe))),
        "megabytes": round(memory, 1),
        "index_megabytes": round(vectors.nbytes / 1e6, 1),
        "open_s": round(opened, 2),
        "mated_found": round(float(np.mean(named[:mated])), 4),
        "strangers_named": round(float(np.mean(named[mated:])), 4),
    }


def _probes(people: Vectors, queries: int) -> Vectors:
    """Half of them of enrolled people, half of strangers from other families."""
    half = max(1, queries // 2)
    picked = np.linspace(0, len(people) - 1, half).astype(int)
    strangers = made_people(half, people.shape[1], seed=2)
    return np.concatenate([made_probes(people[picked]), strangers])


def _by_hand(vectors: Vectors, probe: Vectors) -> int:
    distances = np.linalg.norm(vectors - probe, axis=1)
    return int(np.argsort(distances)[0])


def _timed(probes: Vectors, work: Callable[[Vectors], object]) -> list[float]:
    times = []
    for probe in probes[: max(20, len(probes) // 4)]:
        start = time.perf_counter()
        work(probe)
        times.append(time.perf_counter() - start)
    return times


def _told(name: str, times: Sequence[float]) -> Mapping[str, float]:
    ms = np.asarray(times) * 1e3
    return {
        f"{name}_p50_ms": round(float(np.median(ms)), 3),
        f"{name}_p95_ms": round(float(np.quantile(ms, 0.95)), 3),
        f"{name}_min_ms": round(float(ms.min()), 3),
    }


def _peak_megabytes() -> float:
    """Largest resident memory of this process so far, in millions of bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count the parent's memory before the start
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource  # noqa: PLC0415  (POSIX only)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
