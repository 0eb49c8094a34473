"""Measure how fast a corpus becomes batches, against a trainer whose step does nothing.

    python benchmarks/feeding.py --corpus CORPUS [--json OUT] [--seconds 4] [--windows 5]

Each way of feeding runs in several short windows. The rate is that of the best window, because
whatever else runs on the machine only slows it down; the load before and after is written down with
it, and processor time per sample, which other work hardly changes. Files are warm: each way runs
once before it is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead, StreamBatches
from visagist.corpus.feed.cache import FaceCache, cached_faces, load_faces
from visagist.corpus.feed.selection import select_faces
from visagist.corpus.feed.stream import ShardStream
from visagist.deploy.machine import machine
from visagist.face.mesh.training import MeshRecipe, MeshTask
from visagist.makeup.data import MakeupDataset
from visagist.makeup.training import MakeupRecipe
from visagist.training.run import read_recipe

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "src" / "visagist" / "models"
STEPS = 1 << 40  # more than any window makes


class Clock:
    """Runs windows of steps and keeps the best rate and the processor time."""

    def __init__(self, seconds: float, windows: int) -> None:
        self.seconds, self.windows = seconds, windows

    def rate(self, batch: int, step: Callable[[int], object]) -> dict[str, float]:
        """Samples a second of ``step``, called with 0, 1, 2 and so on.

        Args:
            batch: samples a step.
            step: gives the batch of a step; nothing is done with it.
        """
        number = 0
        for number in range(3):
            step(number)
        rates, spent, samples = [], 0.0, 0
        for _ in range(self.windows):
            began, busy, done = time.perf_counter(), time.process_time(), 0
            while (taken := time.perf_counter() - began) < self.seconds:
                number += 1
                step(number)
                done += batch
            rates.append(done / taken)
            spent += time.process_time() - busy
            samples += done
        return {
            "per_second": round(max(rates), 1),
            "median_per_second": round(median(rates), 1),
            "cpu_ms": round(spent / samples * 1000, 3),
        }


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a window")
    parser.add_argument("--windows", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        report = measure(
            Corpus.open(options.corpus), Path(folder), Clock(options.seconds, options.windows)
        )
    report |= {"seconds": options.seconds, "windows": options.windows}
    report["load"] = {"before": round(before, 1), "after": round(os.getloadavg()[0], 1)}
    text = json.dumps(report, indent=2) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


def measure(corpus: Corpus, folder: Path, clock: Clock) -> dict[str, Any]:
    """Every figure of the report."""
    mesh = read_recipe(ROOT / "recipes" / "face-mesh.yaml", MeshRecipe)
    makeup = read_recipe(ROOT / "recipes" / "makeup-tiny.yaml", MakeupRecipe)
    began = time.process_time()
    faces = cached_faces(corpus, mesh.data, folder)
    caching = (time.process_time() - began) / len(faces) * 1000
    records = select_faces(corpus, mesh.data, ("train",))
    stream = ShardStream(corpus, records, mesh.data, buffer=256)
    batch = mesh.training.batch
    rows: dict[str, dict[str, float]] = {
        "copy": clock.rate(batch, copies(faces, batch)),
        "mapped": clock.rate(batch, gathered(faces, batch)),
        "mapped, ahead": clock.rate(batch, Ahead(gathered(faces, batch), steps=STEPS).__getitem__),
        "stream, 1 decoder": clock.rate(batch, StreamBatches(stream, batch, workers=1)),
        "stream, 2 decoders": clock.rate(batch, StreamBatches(stream, batch, workers=2)),
    }
    train, held_out = faces.subset("train"), faces.subset("validation")
    task = MeshTask(mesh, train, held_out, torch.device("cpu"), workers=0)
    rows["mesh batches"] = clock.rate(batch, task.batch)
    some = load_faces(corpus, select_faces(corpus, makeup.data, ("train",))[:64], makeup.data)
    made_up = np.stack([some.crops] * (1 + len(makeup.network.styles)), axis=1)
    dataset = MakeupDataset(
        made_up,
        zoom=some.zoom,
        config=makeup.training,
        augmentation=makeup.augment,
        seed=0,
        steps=STEPS,
    )
    for workers in (1, 2):
        ahead = Ahead(dataset.__getitem__, steps=STEPS, workers=workers)
        name = f"makeup batches, {workers} worker{'s' * (workers > 1)}"
        rows[name] = clock.rate(makeup.training.batch, ahead.__getitem__)
        ahead.close()
    lengths = [record.length for record in records]
    return {
        "machine": machine()
        | {name: metadata.version(name) for name in ("torch", "opencv-python-headless")},
        "corpus": {
            "faces": len(faces),
            "side": records[0].size,
            "picture_kb": round(float(np.mean(lengths)) / 1000, 1),
        },
        "batch": {"faces": batch, "side": mesh.data.size},
        "cache_ms_per_face": round(caching, 2),
        "cache_mb": round(faces.crops.nbytes / 1e6, 1),
        "rates": rows,
        "needs": {
            "mesh": consumed("face-mesh", batch),
            "makeup": consumed("makeup-tiny", makeup.training.batch),
        },
    }


def copies(faces: FaceCache, batch: int) -> Callable[[int], object]:
    """The floor: one batch copied within memory."""
    source = np.array(faces.crops[:batch])
    target = np.empty_like(source)
    return lambda step: np.copyto(target, source)


def gathered(faces: FaceCache, batch: int) -> Callable[[int], object]:
    """Faces at random from the mapped cache, as tensors."""

    def step(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(number)
        index = torch.randint(len(faces), (batch,), generator=generator)
        numbers = index.numpy()
        return torch.from_numpy(faces.crops[numbers]), torch.from_numpy(faces.meshes[numbers])

    return step


def consumed(model: str, batch: int) -> dict[str, float]:
    """Faces a second that the bundled network's training took, from its log."""
    lines = (MODELS / model / "log.jsonl").read_text(encoding="utf-8").splitlines()
    speeds = [
        row["steps_per_second"] for line in lines if "steps_per_second" in (row := json.loads(line))
    ]
    return {
        "median_per_second": round(median(speeds) * batch, 1),
        "per_second": round(max(speeds) * batch, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
