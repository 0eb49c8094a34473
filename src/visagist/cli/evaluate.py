"""``visagist evaluate``: the published protocols, as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_json, table

__all__ = ["app"]

app = typer.Typer(help="Measure a model on people it has never seen.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(metavar="DIR", help="Folder with images, labels and splits.")]


@app.command("makeup")
def evaluate_makeup(
    data: Data,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "makeup-tiny",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N people.")] = None,
    as_json: Json = False,
) -> None:
    """PSNR, SSIM, leakage, eyes, mouth and shift sensitivity on the test people."""
    with needs_extra("train"):
        from visagist.makeup.evaluation import evaluate

    report = evaluate(data, model=model, limit=limit)
    _show(report, as_json=as_json)


@app.command("mesh")
def evaluate_mesh(
    data: Data,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "face-mesh",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N people.")] = None,
    as_json: Json = False,
) -> None:
    """Error of the face mesh in percent of the distance between the eyes."""
    with needs_extra("train"):
        from visagist.face.mesh.evaluation import evaluate

    report = evaluate(data, model=model, limit=limit)
    _show(report, as_json=as_json)


def _show(report: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        table((name, str(value)) for name, value in report.items())
