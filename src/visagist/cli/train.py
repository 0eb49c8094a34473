"""``visagist train``: make a model from data and a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import needs_extra

__all__ = ["app"]

app = typer.Typer(help="Train a model from a recipe.", no_args_is_help=True)

Recipe = Annotated[Path, typer.Argument(help="YAML file; see recipes/.")]
Data = Annotated[Path, typer.Option(metavar="DIR", help="Folder with images, labels and splits.")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="For checkpoints, log and weights.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in DIR.")]


@app.command("makeup")
def train_makeup(recipe: Recipe, data: Data, output: Output, resume: Resume = False) -> None:
    """Train the makeup network on pairs that the retoucher makes on the way."""
    with needs_extra("train"):
        from visagist.makeup.training import train

    train(recipe, data=data, output=output, resume=resume)


@app.command("mesh")
def train_mesh(recipe: Recipe, data: Data, output: Output, resume: Resume = False) -> None:
    """Train the face mesh network on labelled faces."""
    with needs_extra("train"):
        from visagist.face.mesh.training import train

    train(recipe, data=data, output=output, resume=resume)
