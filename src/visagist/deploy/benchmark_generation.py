"""How many pictures a second a generator makes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from visagist.deploy.machine import machine
from visagist.generation.inference import DEFAULT, FEW, Generator

STEPS = (1, 2, 8, 32)
BATCHES = (1, 8, 32)
TARGET = 100.0
"""One-step pictures of 64 pixels a second that two cores of the reference machine should make."""


def benchmark_generation(
    *,
    model: str = DEFAULT,
    many: str | None = None,
    seconds: float = 2.0,
    threads: tuple[int, ...] = (1, 2),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Pictures a second, from a seed to uint8 pixels, for one thread and two.

    Args:
        model: name or folder.
        many: of the model with many steps, where it has no such name.
        seconds: that each row is repeated for, after a first run that is not counted.
        threads: of ONNX Runtime.
        progress: called with rows done and in all.

    Returns:
        ``one_step_per_second`` (two threads; the best batch), ``one_step_per_second_1_thread``,
        ``target``, the machine, and ``table`` with pictures a second by steps, threads and batch.
        Where no model takes one step, the first two are missing.
    """
    table: dict[str, Any] = {}
    generators = _generators(model, many, threads)
    rows = [
        (steps, count, batch)
        for steps, count in generators
        for batch in (BATCHES if steps <= FEW else BATCHES[1:2])
    ]
    for done, (steps, count, batch) in enumerate(rows, 1):
        name = f"{steps} step{'s' * (steps > 1)}, {count} thread{'s' * (count > 1)}, batch {batch}"
        table[name] = round(_rate(generators[steps, count], steps, batch, seconds), 2)
        progress(done, len(rows))
    report: dict[str, Any] = {}
    for count in sorted(threads, reverse=True):
        found = [
            table[name]
            for name in table
            if name.startswith(f"1 step, {count} thread{'s' * (count > 1)},")
        ]
        if found:
            suffix = "" if count == max(threads) else f"_{count}_thread"
            report[f"one_step_per_second{suffix}"] = max(found)
    first = next(iter(generators.values()))
    return report | {
        "target": TARGET,
        "side": first.side,
        "params": first.params,
        "models": sorted({g.model_id for g in generators.values()}),
        "machine": machine(),
        "table": table,
    }


def _generators(
    model: str, many: str | None, threads: tuple[int, ...]
) -> dict[tuple[int, int], Generator]:
    """The generator for each number of steps that it is made for, by steps and threads."""
    found: dict[tuple[int, int], Generator] = {}
    for count in threads:
        for steps in STEPS:
            name = many if many is not None and steps > FEW else model
            generator = Generator.from_pretrained(name, steps=steps, threads=count)
            if generator.makes(steps):
                found[steps, count] = generator
    return found


def _rate(generator: Generator, steps: int, batch: int, seconds: float) -> float:
    """Pictures a second at one batch size."""
    generator.generate(batch, steps=steps, batch=batch)
    made, began = 0, time.perf_counter()
    while made == 0 or time.perf_counter() - began < seconds:
        generator.generate(batch, first=made, steps=steps, batch=batch)
        made += batch
    return made / (time.perf_counter() - began)
