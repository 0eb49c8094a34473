"""``visagist benchmark``: how fast this machine runs the whole pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_json, table

__all__ = ["app"]

app = typer.Typer(help="Measure time on this machine.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps the noun after the verb while there is only one."""


@app.command("makeup")
def benchmark_makeup(
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "makeup-tiny",
    as_json: Json = False,
) -> None:
    """The network alone and every step of the pipeline, median and 95th percentile."""
    with needs_extra("train"):
        from visagist.deploy.benchmark import benchmark

    report = benchmark(model=model)
    if as_json:
        print_json(report)
    else:
        table((name, str(value)) for name, value in report.items())
