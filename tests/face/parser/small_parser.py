"""Settings, sets and model folders of a parser that a test can train in seconds."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.corpus.labelled_tree import write_tree
from tests.corpus.small_corpus import drawn_sample, write_corpus
from visagist.deploy.export import export_parser
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.network import ParserNetwork
from visagist.training.run import write_run

FIELD = 1.875


def recipe(**loop: object) -> dict[str, object]:
    return {
        "data": {"folders": ["portraits"], "size": 120, "field": FIELD, "variants": 1},
        "network": {"input_size": 96, "widths": [16, 32, 32], "depths": [0, 0, 1]},
        "training": {"batch": 6},
        "augment": {"geometric": {"roll": 10.0, "scale": 0.05}, "photometric": {"strength": 0.3}},
        "loop": {"lr": 4e-3, "warmup": 5, "ema_gamma": 3.0} | loop,
    }


def tree(folder: Path) -> Path:
    splits = {f"{n}.png": "train" for n in range(6)}
    return write_tree(folder / "tree", splits | {f"v{n}.png": "validation" for n in range(3)})


def heads(folder: Path) -> Path:
    """A corpus of drawn faces that claims to be one of rendered heads."""
    samples = [
        (drawn_sample(n, size=120, zoom=FIELD, parts=True, kind="head"), split)
        for n, split in enumerate(["train"] * 4 + ["validation"] * 2 + ["test"] * 2)
    ]
    return write_corpus(folder / "heads", samples)


def untrained(folder: Path) -> Path:
    """A model folder of the bundled architecture with random weights."""
    settings = ParserRecipe()
    torch.manual_seed(0)
    run = folder / "run"
    write_run(run, ParserNetwork(settings.network), settings)
    (run / "log.jsonl").write_text("")
    export_parser(run, folder / "model")
    return folder / "model"
