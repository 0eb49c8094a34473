"""Model folders of generators that were trained for a few steps on drawn discs."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.generation.pictures import discs, recipe, stored
from visagist.deploy.export import export_generator
from visagist.generation.training import make_task
from visagist.training.loop import train
from visagist.training.run import write_run

CPU = torch.device("cpu")


def write_run_of(root: Path, stage: str, *, steps: int = 4, labels=None, network=None, **section):
    """The folder of a finished run below ``root``."""
    settings = recipe(stage, loop={"steps": steps}, network=network, **section)
    sources = 255 - discs(64) if (network or {}).get("source") else None
    data = stored(labels=labels, sources=sources)
    task = make_task(settings, pictures=data, held_out=None, device=CPU)
    write_run(root, train(task, settings.loop, root), settings)
    return root


def write_generator(root: Path, stage: str, name: str, *, half: bool = False, **more) -> Path:
    """A model folder ``root/name``."""
    if stage == "consistency":
        more = {"auxiliary": 0} | more
    run = write_run_of(root / f"run-{name}", stage, **more)
    export_generator(run, root / name, version="0.0.1", half=half)
    return root / name
