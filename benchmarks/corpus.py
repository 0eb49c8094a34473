"""Measure the building of a corpus: stages, engines, growth, near-duplicates, memory, bytes.

    python benchmarks/corpus.py --photos DIR [--photos DIR ...] [--json OUT] [--quick]

Every figure is taken in a process of its own, and the load of the machine before it is written
down with it: timings of a busy machine say little. Photos are read without given labels, so that
faces are found by the default detector and mesh network; all counts draw on the same mixture.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from family import Family

from visagist.corpus import engines, prepare
from visagist.corpus.build import BuildConfig, build, chunk
from visagist.corpus.build.gather import gather
from visagist.corpus.corpus import INDEX, SHARDS, Corpus
from visagist.corpus.duplicates import candidate_pairs, compare, comparison_view
from visagist.corpus.prepare import PhotoConfig, PhotoTask
from visagist.corpus.sources import SourceItem, open_sources
from visagist.corpus.task import Item, SkippedItemError
from visagist.deploy.machine import machine
from visagist.face.detect import default_detector
from visagist.face.find import default_mesher
from visagist.photo.decode import picture_size
from visagist.photo.limits import Limits

CHUNK = 16  # fewer than the default, so that few photos still make many chunks
RADIUS = 7  # of the fingerprints, the default of a build
PACKAGES = ("opencv-python-headless", "pyarrow", "ray")
Result = dict[str, Any]


class Sampled(PhotoTask):
    """The first photos of a shuffled list; the order depends on nothing but their names."""

    def __init__(self, photos: Sequence[str], count: int) -> None:
        super().__init__(open_sources(photos), PhotoConfig(labels="network"))
        self.count = count

    def items(self) -> Iterator[Item]:
        """The sample, in its order."""
        order = sorted(super().items(), key=lambda i: hashlib.sha256(i.key.encode()).digest())
        return iter(order[: self.count])


class Stages:
    """Adds up the processor time of functions, by stage; none of them calls another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, name: str, stage: str) -> None:  # noqa: ANN401
        """Replace a function of a module or class by one that is timed."""
        function = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.seconds[stage] += time.process_time() - start

        setattr(owner, name, timed)


def photos_part(photos: Sequence[str], count: int) -> Result:
    """What the photos are like."""
    sizes, lengths = [], []
    for item in Sampled(photos, count).items():
        data = item.payload.read()
        lengths.append(len(data))
        sizes.append(max(picture_size(data, Limits())))
    return {
        "count": len(sizes),
        "median_longer_side": median(sizes),
        "mean_bytes": round(mean(lengths)),
    }


def stages_part(photos: Sequence[str], count: int) -> Result:
    """Milliseconds a photo spends in each stage, alone in one process on one thread."""
    task = Sampled(photos, count + 1)
    warm, *items = task.items()
    default_detector()
    default_mesher()
    with tempfile.TemporaryDirectory() as folder:
        chunk.run_chunk(task, 0, [warm], Path(folder))  # models are loaded, caches are filled
        start, cpu = time.perf_counter(), time.process_time()
        for item in items:
            try:
                task.prepare(item)
            except SkippedItemError:
                continue
        pure, pure_cpu = time.perf_counter() - start, time.process_time() - cpu
        stages = Stages()
        stages.watch(SourceItem, "read", "read")
        stages.watch(PhotoTask, "_view", "decode")
        stages.watch(type(default_detector()), "detect", "detect")
        stages.watch(type(default_mesher()), "predict", "mesh")
        stages.watch(prepare, "align", "align")
        stages.watch(prepare, "crop", "align")
        stages.watch(prepare, "make_sample", "measure")
        stages.watch(chunk, "encode_sample", "encode")
        stages.watch(chunk, "thumbnail", "encode")
        stages.watch(chunk, "write_atomically", "write")
        cpu = time.process_time()
        chunk.run_chunk(task, 1, items, Path(folder))
        whole = time.process_time() - cpu
    ms = {name: round(1000 * s / len(items), 3) for name, s in stages.seconds.items()}
    ms["rest"] = round(1000 * whole / len(items) - sum(ms.values()), 3)
    return {
        "photos": len(items),
        "prepare_ms": round(1000 * pure / len(items), 3),
        "prepare_cpu_ms": round(1000 * pure_cpu / len(items), 3),
        "chunk_cpu_ms": round(1000 * whole / len(items), 3),
        "stages_cpu_ms": ms,
    }


def engine_part(photos: Sequence[str], engine: engines.Engine, workers: int, count: int) -> Result:
    """One run of an engine from start to end."""
    task = Sampled(photos, count)
    items = list(task.items())
    chunks = {k: items[i : i + CHUNK] for k, i in enumerate(range(0, len(items), CHUNK))}
    with tempfile.TemporaryDirectory() as folder, Family() as family:
        start = time.perf_counter()
        engines.run(
            engine,
            task,
            chunks,
            Path(folder),
            run_chunk=chunk.run_chunk,
            workers=workers,
        )
        seconds = time.perf_counter() - start
    workers_mib = [
        mib
        for pid, mib in family.mib.items()
        if "spawn_main" in family.commands[pid] or "MapWorker" in family.commands[pid]
    ]
    return {
        "engine": engine,
        "workers": workers,
        "photos": len(items),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(sum(family.seconds.values()), 2),
        "driver_peak_mib": round(family.mib[os.getpid()]),
        "worker_peak_mib": round(max(workers_mib, default=0)),
        "all_peaks_mib": round(sum(family.mib.values())),
    }


def build_part(photos: Sequence[str], workers: int, count: int) -> Result:
    """A whole build, with the time of each of its stages and the bytes it leaves."""
    begun: dict[str, float] = {}
    cpu: list[float] = []
    steps: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "corpus"

        def progress(stage: str, done: int, of: int) -> None:
            begun.setdefault(stage, time.perf_counter())
            steps[stage] = of
            if stage == "prepare" and done == of:
                begun["end of prepare"] = time.perf_counter()
                cpu.append(time.process_time())

        start = time.perf_counter()
        built = build(
            Sampled(photos, count),
            out,
            BuildConfig(chunk=CHUNK),
            engine="processes",
            workers=workers,
            progress=progress,
        )
        end, finish_cpu = time.perf_counter(), time.process_time() - cpu[-1]
        prepared = begun["end of prepare"]
        counts = built.corpus.summary["counts"]
        shards = sum(path.stat().st_size for path in (out / SHARDS).iterdir())
        return {
            "workers": workers,
            "photos": counts["items"],
            "kept": counts["kept"],
            "seconds": round(end - start, 2),
            "prepare_seconds": round(prepared - start, 2),
            "finish_seconds": round(end - prepared, 2),
            "finish_cpu_seconds": round(finish_cpu, 2),
            "write_seconds": round(end - begun["write"], 2),
            "likely_pairs": steps.get("compare", 0),
            "shard_bytes_per_sample": round(shards / counts["kept"]),
            "index_bytes_per_sample": round((out / INDEX).stat().st_size / counts["kept"]),
            "bucket_crowding": _crowding(built.corpus),
            "compare_cpu_ms": _comparing(built.corpus),
        }


def _crowding(corpus: Corpus) -> float:
    """How much more often faces share 16 bits of their fingerprints than random numbers do."""
    bits = np.array([record.fingerprint for record in corpus.records], np.uint64)
    n, excess = len(bits), []
    for band in range(4):
        values = (bits >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        shared = np.unique(values, return_counts=True)[1].astype(np.int64)
        excess.append(float((shared * (shared - 1)).sum()) / (n * (n - 1)) * 2**16)
    return round(mean(excess), 1)


def _comparing(corpus: Corpus) -> float:
    """Milliseconds of processor time to decode two crops and lay one over the other."""
    records = corpus.records[:21]
    start = time.process_time()
    for one, other in pairwise(records):
        a, b = corpus.load(one), corpus.load(other)
        compare(comparison_view(a.image, a.zoom), comparison_view(b.image, b.zoom))
    return round(1000 * (time.process_time() - start) / (len(records) - 1), 2)


def duplicates_part(_: Sequence[str], count: int) -> Result:
    """The search among random fingerprints: what is left of it when no two faces are alike."""
    bits = np.random.default_rng(count).integers(0, 2**64, count, dtype=np.uint64)
    with Family() as family:
        start = time.process_time()
        pairs = sum(len(i) for i, _ in candidate_pairs(bits, RADIUS))
        seconds = time.process_time() - start
    return {
        "samples": count,
        "cpu_seconds": round(seconds, 2),
        "pairs": pairs,
        "peak_mib": round(family.mib.get(os.getpid(), 0)),
    }


def gather_part(photos: Sequence[str], count: int) -> Result:
    """What the end of a build holds in memory for each sample, on rows that repeat a real one."""
    task = Sampled(photos, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunk.run_chunk(task, 0, list(task.items()), folder)
        summary = json.loads(chunk.summary_path(folder, 0).read_bytes())
        (row,) = summary["rows"]
        per_chunk = 1000
        for number in range(count // per_chunk):
            rows = []
            for k in range(number * per_chunk, (number + 1) * per_chunk):
                origin = {**row["labels"]["origin"], "item": f"photos/person-{k:09d}.jpg"}
                rows.append(
                    {**row, "labels": {**row["labels"], "key": f"{k:016x}", "origin": origin}}
                )
            text = json.dumps({**summary, "rows": rows})
            chunk.summary_path(folder, number).write_text(text, encoding="utf-8")
        before, start = _resident(), time.process_time()
        gathered = gather(folder, count // per_chunk, BuildConfig())
        seconds, after = time.process_time() - start, _resident()
        summary_bytes = len(text) / per_chunk
    return {
        "samples": len(gathered),
        "bytes_per_sample": round((after - before) / len(gathered)),
        "cpu_us_per_sample": round(1e6 * seconds / len(gathered), 1),
        "summary_bytes_per_sample": round(summary_bytes),
    }


def _resident() -> int:
    """Memory of this process in bytes, without mapped files (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this benchmark reads memory from Linux's /proc")


PARTS: dict[str, Callable[..., Result]] = {
    "photos": photos_part,
    "stages": stages_part,
    "engine": engine_part,
    "build": build_part,
    "gather": gather_part,
    "duplicates": duplicates_part,
}
RUNS = (("serial", 1), ("processes", 1), ("processes", 2), ("ray", 1), ("ray", 2))


def measured(photos: Sequence[str], *part: str | int) -> Result:
    """A part in a fresh process, with the load of the last minute before it."""
    load = round(os.getloadavg()[0], 2)
    print(f"load {load:5.2f}", *part, file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--part", json.dumps(part)]
    for folder in photos:
        command += ["--photos", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "load_before": load}


def everything(photos: Sequence[str], *, quick: bool) -> Result:
    few, many = (16, 48) if quick else (32, 128)
    grown = (32, 64) if quick else (100, 300, 900)
    crowd = (10_000, 20_000) if quick else (100_000, 400_000)
    return {
        "command": "python benchmarks/corpus.py --photos DIR",
        "machine": {**machine(), **{name: metadata.version(name) for name in PACKAGES}},
        "photos": measured(photos, "photos", many),
        "chunk": CHUNK,
        "stages": measured(photos, "stages", few),
        "engines": [
            measured(photos, "engine", engine, workers, count)
            for engine, workers in RUNS
            for count in (few, many)
        ],
        "growth": [measured(photos, "build", 2, count) for count in grown],
        "gather": measured(photos, "gather", crowd[0]),
        "duplicates": [measured(photos, "duplicates", count) for count in crowd],
    }


def main() -> int:
    """Measure everything, or one part for the process that does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", action="append", required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--quick", action="store_true", help="few photos: to see that it runs")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        name, *rest = json.loads(args.part)
        print(json.dumps(PARTS[name](args.photos, *rest)))
        return 0
    text = json.dumps(everything(args.photos, quick=args.quick), indent=2) + "\n"
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
