"""A small makeup model: run folder and exported model folder, with weights of a seed."""

from __future__ import annotations

from pathlib import Path

import torch

from visagist.deploy.export import export_makeup
from visagist.makeup.config import MakeupNetworkConfig, MakeupTrainingConfig
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.training.augmentation import AugmentConfig, PhotometricConfig
from visagist.training.loop import LoopConfig
from visagist.training.run import write_run

STYLES = ("rosewood", "smoky", "classic")


def small_recipe(**loop: object) -> MakeupRecipe:
    return MakeupRecipe.model_validate(
        {
            "data": {"use": "makeup", "size": 320, "zoom": 1.25},
            "network": MakeupNetworkConfig(styles=STYLES, width=16, mixers=1),
            "training": MakeupTrainingConfig(batch=2, styles_per_face=2, patches=512),
            "augment": AugmentConfig(photometric=PhotometricConfig(strength=1.0)),
            "loop": LoopConfig(**({"steps": 1} | loop)),
        }
    )


def write_makeup_run(folder: Path, *, idle: bool = False) -> Path:
    """A finished run; an ``idle`` network adds nothing to any face."""
    torch.manual_seed(0)
    recipe = small_recipe()
    network = MakeupNetwork(recipe.network)
    torch.nn.init.normal_(network.bias, std=0.05)
    if idle:
        torch.nn.init.zeros_(network.bias)
        torch.nn.init.zeros_(network.head)
    write_run(folder, network, recipe)
    (folder / "log.jsonl").write_text('{"step": 1}\n')
    return folder


def write_makeup_model(folder: Path, *, idle: bool = False) -> Path:
    export_makeup(write_makeup_run(folder / "run", idle=idle), folder / "model")
    return folder / "model"
