"""Measure galleries of several sizes on this machine: search, memory, enrolment, opening.

    python benchmarks/gallery.py                               # prints
    python benchmarks/gallery.py --into RESULTS.json           # and writes

Needs no pictures: the people are made-up vectors. Each size is opened and searched in a process of
its own on one thread. Beside each search stand a floor (one matrix product of numpy) and a ceiling
(distances to everybody, all sorted); ``load`` is the system's load average at the start and the
end, for times on a busy machine are those of a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from visagist.deploy.machine import machine
from visagist.gallery.benchmark import benchmark_gallery

SIZES = (1_000, 10_000, 100_000)


def measure(sizes: list[int], queries: int) -> dict[str, Any]:
    """All sizes, smallest first."""
    load = [round(os.getloadavg()[0], 2)]
    results = [benchmark_gallery(size, queries=queries) for size in sorted(sizes)]
    load.append(round(os.getloadavg()[0], 2))
    largest = results[-1]
    return {
        "search_100k_p50_ms": largest["search_p50_ms"] if largest["people"] == SIZES[-1] else None,
        "search_100k_megabytes": largest["megabytes"] if largest["people"] == SIZES[-1] else None,
        "sizes": results,
        "queries": queries,
        "load": load,
        "machine": machine() | {"cryptography": metadata.version("cryptography")},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--into", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = json.dumps(measure(options.people, options.queries), indent=2) + "\n"
    print(report, end="")
    if options.into is not None:
        options.into.parent.mkdir(parents=True, exist_ok=True)
        options.into.write_text(report, encoding="utf-8")


if __name__ == "__main__":  # the processes it starts import this file
    main()
