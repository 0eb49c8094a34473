"""The three trainings in two processes; torchrun starts it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.generation.pictures import recipe, stored
from visagist.generation.training import make_task
from visagist.training.loop import train
from visagist.training.parallel import joined_processes
from visagist.training.run import write_run

SHORT = {"steps": 3, "checkpoint_every": 3, "validate_every": 3}


def run(stage: str, folder: Path, *, start: Path | None = None, **loop) -> None:
    made = recipe(stage, loop=SHORT | loop)
    pictures = stored()
    task = make_task(
        made, pictures=pictures, held_out=pictures, device=torch.device("cpu"), start=start
    )
    write_run(folder, train(task, made.loop, folder), made)


def main(folder: Path, first: Path) -> None:
    with joined_processes():
        for way in ("ddp", "fsdp"):
            run("pretrain", folder / way / "pretrain", parallel=way)
            run("consistency", folder / way / "consistency", start=first, parallel=way)
        run("diffusion", folder / "fsdp" / "diffusion", start=first, parallel="fsdp")
        run("diffusion", folder / "ddp" / "diffusion", start=first, accumulate=2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
