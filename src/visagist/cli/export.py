"""``visagist export``: from a training run to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.encoders import frozen_encoder
from visagist.cli.output import Json, needs_extra, print_report
from visagist.errors import InputError

__all__ = ["app"]

app = typer.Typer(help="Turn a training run into a model folder.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `visagist train` wrote.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The model folder.")]
MOST_AVERAGED = 0.28
"""Relative width of the widest average that a power function has."""


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


@app.command("closeups")
def export_closeups(run: Run, output: Output, as_json: Json = False) -> None:
    """Export the close-ups of the face mesh, compared with torch on fixed inputs."""
    with needs_extra("train"):
        from visagist.deploy.export import export_closeups as export

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


@app.command("amplifier")
def export_amplifier(run: Run, output: Output, as_json: Json = False) -> None:
    """Write the base of the amplifier as a model folder."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.amplify.pixels.export import export_amplifier as export

    print_report(export(run, output), as_json=as_json)


@app.command("generator")
def export_generator(
    run: Run,
    output: Output,
    average: Annotated[
        float | None,
        typer.Option(
            metavar="SIGMA",
            help="Average found afterwards, its width as a share of the training (0.05 to 0.15 "
            "are usual); by default the run's own.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE", help="Of a run that is not finished: take its newest checkpoint."
        ),
    ] = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="Store weights once and in half precision."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Export a generator of stage 2, for one step or for many, compared with torch."""
    with needs_extra("train"):
        from visagist.deploy.export import export_generator as export
        from visagist.training.averages import average_afterwards

    if average is not None and not 0 < average < MOST_AVERAGED:
        raise InputError(f"--average must be above 0 and below {MOST_AVERAGED}, not {average:g}")
    report = export(
        run,
        output,
        weights=average_afterwards(run, average) if average is not None else None,
        recipe=recipe,
        half=half,
    )
    print_report(report, as_json=as_json)


@app.command("swap")
def export_swap(
    run: Run,
    output: Output,
    shape: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of the source's build that a guide takes on; as in training by default.",
        ),
    ] = None,
    correction: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of what a guided network changes of its guide that is used."
        ),
    ] = 1.0,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Recogniser whose vectors the model will read, by name or folder; that of the "
            "training by default."
        ),
    ] = None,
    int8: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of triplets: also make model-int8.onnx with ranges from these."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a swap network: one file a frame, one a source, compared with torch."""
    with needs_extra("train"):
        from visagist.deploy.export_swap import export_swap as export

    read = frozen_encoder(encoder or "recognizer") if encoder or int8 else None
    report = export(run, output, shape=shape, correction=correction, encoder=read, int8=int8 or ())
    print_report(report, as_json=as_json)
