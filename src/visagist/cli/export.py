"""``visagist export``: from a training run to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_report

__all__ = ["app"]

app = typer.Typer(help="Turn a training run into a model folder.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `visagist train` wrote.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The model folder.")]


@app.command("makeup")
def export_makeup(run: Run, output: Output, as_json: Json = False) -> None:
    """Export the makeup network, compared with torch on fixed inputs."""
    with needs_extra("train"):
        from visagist.deploy.export import export_makeup as export

    print_report(export(run, output), as_json=as_json)


@app.command("mesh")
def export_mesh(run: Run, output: Output, as_json: Json = False) -> None:
    """Export the face mesh network, compared with torch on fixed inputs."""
    with needs_extra("train"):
        from visagist.deploy.export import export_mesh as export

    print_report(export(run, output), as_json=as_json)


@app.command("parser")
def export_parser(run: Run, output: Output, as_json: Json = False) -> None:
    """Export the parser, compared with torch on fixed inputs."""
    with needs_extra("train"):
        from visagist.deploy.export import export_parser as export

    print_report(export(run, output), as_json=as_json)


@app.command("recognizer")
def export_recognizer(run: Run, output: Output, as_json: Json = False) -> None:
    """Export the embedding network, compared with torch on fixed inputs."""
    with needs_extra("train"):
        from visagist.deploy.export import export_recognizer as export

    print_report(export(run, output), as_json=as_json)
