"""Pictures that a small generator can learn in seconds: a disc of some colour, size and place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from visagist.generation.config import (
    ConsistencyRecipe,
    DiffusionRecipe,
    PretrainRecipe,
)
from visagist.generation.data import StoredPictures


def discs(n: int, side: int = 16, seed: int = 0) -> np.ndarray:
    """(n, side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] + 0.5
    pictures = np.empty((n, side, side, 3), np.uint8)
    for i in range(n):
        centre, radius = rng.uniform(0.35, 0.65, 2) * side, rng.uniform(0.2, 0.3) * side
        inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
        colour, ground = rng.integers(150, 230, 3), rng.integers(20, 100, 3)
        pictures[i] = np.where(inside[..., None], colour, ground)
    return pictures


def stored(n: int = 64, **more) -> StoredPictures:
    return StoredPictures(discs(n), torch.device("cpu"), **more)


NETWORK = {
    "image_size": 16,
    "patch": 4,
    "depth": 2,
    "encoder_width": 32,
    "encoder_heads": 2,
    "decoder_width": 32,
    "decoder_heads": 2,
}
LOOP = {
    "steps": 4,
    "warmup": 2,
    "lr": 2e-3,
    "log_every": 1,
    "validate_every": 4,
    "checkpoint_every": 2,
}
FACES = {"use": "generation", "size": 16, "zoom": 1.0}


def recipe(stage: str, /, *, loop=None, network=None, data=None, **section):
    kinds = {
        "pretrain": (PretrainRecipe, {"batch": 16, "hidden": 32, "projection": 16}),
        "diffusion": (DiffusionRecipe, {"batch": 16}),
        "consistency": (ConsistencyRecipe, {"batch": 16}),
    }
    kind, defaults = kinds[stage]
    network = NETWORK | (network or {})
    where = {"folder": "imagenet"} if network.get("classes") else {"faces": FACES}
    return kind.model_validate(
        {
            "stage": stage,
            "data": where | {"block": 4} | (data or {}),
            "network": network,
            "loop": LOOP | (loop or {}),
            stage: defaults | section,
        }
    )


def class_folders(root: Path, *, broken: int = 0, side: int = 24) -> Path:
    """Two classes in train and val; the first ``broken`` training files are no pictures."""
    for split, count in [("train", 12), ("val", 8)]:
        for c, name in enumerate(["n00000001", "n00000002"]):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i, picture in enumerate(discs(count, side, seed=c)):
                path = folder / f"{name}_{i:03d}.JPEG"
                Image.fromarray(picture).save(path, "JPEG", quality=95)
                if split == "train" and i < broken:
                    path.write_bytes(b"not a picture")
    return root
