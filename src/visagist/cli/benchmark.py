"""``visagist benchmark``: how fast this machine runs the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_report, progress_bar

__all__ = ["app"]

app = typer.Typer(help="Measure time on this machine.", no_args_is_help=True)


@app.command("makeup")
def benchmark_makeup(
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "makeup-tiny",
    photo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With one face; default: a drawn face.")
    ] = None,
    runs: Annotated[int, typer.Option(min=5, help="Repetitions of each network.")] = 200,
    as_json: Json = False,
) -> None:
    """The network alone and every step of the pipeline, median and 95th percentile."""
    from visagist.photo import Photo

    with needs_extra("train"):
        from visagist.deploy.benchmark import benchmark

    pixels = Photo.open(photo).pixels if photo is not None else None
    print_report(benchmark(model=model, photo=pixels, runs=runs), as_json=as_json)


@app.command("recognition")
def benchmark_recognition(
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    photo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With one face; default: a drawn face.")
    ] = None,
    runs: Annotated[int, typer.Option(min=5, help="Repetitions of the network.")] = 200,
    people: Annotated[
        int, typer.Option(min=0, help="In the gallery that is searched; 0 leaves it out.")
    ] = 100_000,
    as_json: Json = False,
) -> None:
    """The network, every step from a photo to a template, and searches; one thread."""
    from visagist.photo import Photo

    with needs_extra("train"):
        from visagist.deploy.benchmark_recognition import benchmark_recognition as run

    pixels = Photo.open(photo).pixels if photo is not None else None
    report = run(model=model, photo=pixels, runs=runs)
    if people:
        with needs_extra("gallery"):
            from visagist.deploy.benchmark_recognition import benchmark_search
        with progress_bar("enrol", people, quiet=as_json) as advance:
            report |= benchmark_search(people, progress=advance)
    print_report(report, as_json=as_json)


@app.command("generation")
def benchmark_generation(
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "generator-64",
    many: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="For many steps; by default MODEL-diffusion."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="That each row is repeated for.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Pictures a second at 1, 2, 8 and 32 steps, on one thread and two."""
    from visagist.deploy.benchmark_generation import benchmark_generation as run

    with progress_bar("time", None, quiet=as_json) as advance:
        report = run(model=model, many=many, seconds=seconds, progress=advance)
    print_report(report, as_json=as_json)


@app.command("swap")
def benchmark_swap(
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "swap",
    live: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The smaller network, for live_ms: name or folder."),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Name or folder of the recogniser it was trained with.")
    ] = "recognizer",
    photo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With one face; default: a drawn face.")
    ] = None,
    runs: Annotated[int, typer.Option(min=5, help="Repetitions of each network.")] = 30,
    as_json: Json = False,
) -> None:
    """The network a frame beside the published layout, and every step of a swap; one thread."""
    from visagist.photo import Photo

    with needs_extra("train"):
        from visagist.deploy.benchmark_swap import benchmark_swap as run

    pixels = Photo.open(photo).pixels if photo is not None else None
    report = run(model=model, live=live, encoder=encoder, photo=pixels, runs=runs)
    print_report(report, as_json=as_json)
