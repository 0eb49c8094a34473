"""Judging generators: opens models, the pictures they learned from, and what compares both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import DataError
from visagist.generation.config import DataConfig
from visagist.generation.data import corpus_pictures
from visagist.generation.efficientnet import efficientnet_embedder
from visagist.generation.inference import DEFAULT, FEW, Generator
from visagist.generation.protocol import Copies, Embed, Real, judge
from visagist.recognition.crop import CENTRE, FIELD, INPUT_SIZE
from visagist.recognition.inference import Recognizer
from visagist.runtime.store import ModelFiles, open_model

Bytes = NDArray[np.uint8]
STEPS = (1, 2, 8, 32)
EFFICIENTNET, FACES = "efficientnet-lite0", "recognizer"


def face_embedder(recognizer: Recognizer, zoom: float) -> Embed:
    """(N, S, S, 3) aligned pictures to (N, 128) vectors of the recogniser.

    Args:
        recognizer: what embeds.
        zoom: canonical crops that a picture shows; the recogniser sees a part of one.
    """

    def embed(pictures: Bytes) -> NDArray[np.float32]:
        side = pictures.shape[1]
        half = FIELD / zoom * side / 2
        x, y = (side * (0.5 + (c - 0.5) / zoom) for c in CENTRE)
        box = (x - half, y - half, x + half, y + half)
        size = (INPUT_SIZE, INPUT_SIZE)
        views = [
            np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC, box=box))
            for p in pictures
        ]
        return np.stack([recognizer.embed_view(view) for view in views])

    return embed


def evaluate_generation(
    data: Sequence[Path],
    *,
    model: str = DEFAULT,
    many: str | None = None,
    cache: Path,
    steps: Sequence[int] = STEPS,
    count: int = 1000,
    resamples: int = 30,
    seed: int = 0,
    weights: Path | None = None,
    threads: int = 1,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[dict[str, Any], dict[str, Bytes], Real, list[Copies]]:
    """The protocol of :func:`~visagist.generation.protocol.judge` for one model or two.

    Args:
        data: the corpora that the generator has learned from.
        model: name or folder; for more than a few steps its sister with many steps is taken.
        many: name or folder of the model with many steps, where it has no such name.
        cache: folder for decoded faces.
        steps: of each set; those that a model cannot do are left out.
        count: pictures in a set.
        resamples: of the bootstrap.
        seed: of the samples and of the draws.
        weights: EfficientNet-Lite0's file; the installed package's by default.
        threads: of the generator.
        progress: called with what is going on, pictures done and in all.

    Returns:
        The report, the samples by their steps, the real pictures, and the samples nearest to them.

    Raises:
        DataError: no set can be made, or there are too few pictures.
    """
    embedder = efficientnet_embedder(weights)  # what may be missing is told before the work
    generators = _generators(model, many, steps, threads)
    config = _data_of(open_model(next(iter(generators.values())).folder))
    real = _real(data, config, cache, progress)
    sets: dict[str, Bytes] = {}
    for place, (wanted, generator) in enumerate(generators.items()):
        base = place * count

        def told(done: int, _: int, base: int = base) -> None:
            progress("sample", base + done, count * len(generators))

        sets[str(wanted)] = generator.generate(count, seed=seed, steps=wanted, progress=told)
    zoom = config.faces.zoom if config.faces is not None else 1.0
    spaces = {EFFICIENTNET: embedder}
    if config.faces is not None:
        spaces[FACES] = face_embedder(Recognizer.from_pretrained(), zoom)
    report, copies = judge(
        sets,
        real,
        spaces,
        identity=FACES if FACES in spaces else None,
        resamples=resamples,
        seed=seed,
        progress=lambda done, total: progress("compare", done, total),
    )
    first = next(iter(generators.values()))
    report |= {
        "params": first.params,
        "models": {str(k): g.model_id for k, g in generators.items()},
        "seed": seed,
        "training_pictures": len(real.training),
    }
    return report, sets, real, copies


def _generators(
    model: str, many: str | None, steps: Sequence[int], threads: int
) -> dict[int, Generator]:
    """The generator for each number of steps that one can do."""
    found: dict[int, Generator] = {}
    opened: dict[Path, Generator] = {}
    for wanted in steps:
        name = many if many is not None and wanted > FEW else model
        generator = Generator.from_pretrained(name, steps=wanted, threads=threads)
        generator = opened.setdefault(generator.folder, generator)
        if generator.makes(wanted):
            found[wanted] = generator
    if not found:
        raise DataError(f"{model} can make pictures in none of {list(steps)} steps")
    return found


def _data_of(model: ModelFiles) -> DataConfig:
    recipe = json.loads(model.read("recipe.json"))
    return DataConfig.model_validate(recipe["data"])


def _real(
    data: Sequence[Path],
    config: DataConfig,
    cache: Path,
    progress: Callable[[str, int, int], None],
) -> Real:
    """The pictures of the training, as its recipe shows them, and those of validation people."""
    if config.faces is None:
        raise DataError("only generators of faces from corpora are judged; this one has classes")
    cpu = torch.device("cpu")
    parts = []
    for split in ("train", "validation"):
        stored = corpus_pictures(
            data,
            config,
            cache=cache,
            split=split,
            device=cpu,
            progress=lambda done, total: progress("decode faces", done, total),
        )
        pictures, _, _ = stored.get(np.arange(len(stored.weights)))
        parts.append((pictures.permute(0, 2, 3, 1).numpy(), stored.weights))
    (training, weights), (held_out, held_weights) = parts
    return Real(training, weights, config.flip, held_out, held_weights)
