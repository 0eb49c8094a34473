"""Measure how fast heads are drawn, with labels, depth and everything else of a sample.

    python benchmarks/heads.py --assets DIR [--json OUT] [--heads 24] [--windows 8]

Each worker is a process that draws on one thread, as a build's workers do; writing shards is left
out. The rate is that of the best window, because whatever else runs on the machine only slows it
down; processor time a head changes less. The first heads, which load meshes and textures, are not
counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from visagist.corpus.heads.gl import open_context
from visagist.corpus.heads.scene import HeadsConfig
from visagist.corpus.heads.task import HeadTask
from visagist.deploy.machine import machine

WARM_UP = 40  # heads; by then most hair, skins and targets are loaded


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--heads", type=int, default=24, help="drawn in a window by each worker")
    parser.add_argument("--windows", type=int, default=8)
    options = parser.parse_args()
    os.environ["LP_NUM_THREADS"] = "1"
    before = os.getloadavg()[0]
    context = open_context()
    rows = {}
    for workers in (1, 2):
        for zoom in (1.0, 1.875):
            rows[f"{workers} workers, zoom {zoom:g}"] = measure(
                options.assets, workers, zoom, options.heads, options.windows
            )
    report: dict[str, Any] = {
        "machine": machine()
        | {name: metadata.version(name) for name in ("moderngl", "opencv-python-headless")}
        | {"opengl": context.info["GL_RENDERER"], "version": context.info["GL_VERSION"]},
        "size": 256,
        "heads": options.heads,
        "windows": options.windows,
        "rates": rows,
        "load": {"before": round(before, 1), "after": round(os.getloadavg()[0], 1)},
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


def measure(assets: Path, workers: int, zoom: float, heads: int, windows: int) -> dict[str, float]:
    """Heads a second of so many processes together, and processor time a head."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    with context.Pool(workers, initializer=_begin, initargs=(barrier,)) as pool:
        jobs = [(assets, zoom, 1000 * k, heads, windows) for k in range(workers)]
        results = pool.map(_draw, jobs, chunksize=1)
    # windows of the workers begin together; together they last as long as the slowest
    lasted = [max(window) for window in zip(*(r[0] for r in results), strict=True)]
    rates = [workers * heads / seconds for seconds in lasted]
    cpu = sum(r[1] for r in results) / (workers * heads * windows)
    return {
        "per_second": round(max(rates), 2),
        "median_per_second": round(median(rates), 2),
        "cpu_ms": round(1000 * cpu, 1),
    }


_BARRIER: Any = None


def _begin(barrier: Any) -> None:  # noqa: ANN401 (a barrier of multiprocessing)
    global _BARRIER  # noqa: PLW0603 (handed to a worker once, when it starts)
    _BARRIER = barrier


def _draw(job: tuple[Path, float, int, int, int]) -> tuple[list[float], float]:
    """Seconds of each window and processor time of all, in one worker."""
    assets, zoom, first, heads, windows = job
    config = HeadsConfig(count=first + WARM_UP + heads * windows, zoom=zoom)
    task = HeadTask(config, assets)
    items = list(task.items())[first:]
    for item in items[:WARM_UP]:
        task.prepare(item)
    lasted, busy = [], time.process_time()
    for k in range(windows):
        _BARRIER.wait()
        began = time.perf_counter()
        for item in items[WARM_UP + k * heads : WARM_UP + (k + 1) * heads]:
            task.prepare(item)
        lasted.append(time.perf_counter() - began)
    return lasted, time.process_time() - busy


if __name__ == "__main__":
    sys.exit(main())
