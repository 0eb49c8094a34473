"""Timing pieces of work side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Timing = dict[str, float]


def summary(times: Sequence[float]) -> Timing:
    """Median, 95th percentile and minimum."""
    return {
        "median_ms": round(float(np.median(times)), 3),
        "p95_ms": round(float(np.quantile(times, 0.95)), 3),
        "min_ms": round(float(min(times)), 3),
    }


def in_turns(
    work: Mapping[str, Callable[[], object]], *, runs: int, warmup: int = 3
) -> dict[str, Timing]:
    """Wall-clock milliseconds of each piece of work, run one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for i in range(runs + warmup):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if i >= warmup:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: summary(values) for name, values in times.items()}


def fit(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a picture into ``size`` (width, height); what is left over repeats its edge."""
    image = Image.fromarray(picture)
    scale = min(size[0] / image.width, size[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    across, down = size[0] - image.width, size[1] - image.height
    margins = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return np.pad(np.asarray(image), margins, mode="edge")
