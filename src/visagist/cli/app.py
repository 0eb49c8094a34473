"""The program: gathers the verbs and turns errors into one line and an exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from visagist.cli import (
    amplify,
    benchmark,
    calibrate,
    corpus,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    gallery,
    generate,
    inspect,
    learn,
    makeup,
    styles,
    swap,
    train,
    triplets,
    verify,
)
from visagist.cli.output import print_error
from visagist.errors import VisagistError

__all__ = ["app", "main"]

app = typer.Typer(
    name="visagist",
    help="Tiny face models that run anywhere. Nothing is uploaded and nothing is downloaded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("makeup")(makeup.makeup)
app.command("styles")(styles.styles)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("inspect")(inspect.inspect)
app.command("verify")(verify.verify)
app.command("embed")(embed.embed)
app.command("generate")(generate.generate)
app.command("swap", cls=swap.SwapCommand)(swap.swap)
app.command("triplets")(triplets.triplets)
app.command("amplify")(amplify.amplify)
app.command("learn")(learn.learn)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(corpus.app, name="corpus")
app.add_typer(train.app, name="train")
app.add_typer(export.app, name="export")
app.add_typer(gallery.app, name="gallery")


def _version(asked: bool) -> None:
    if asked:
        from visagist import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options before the verb."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program; always ends in :class:`SystemExit`.

    Exit codes: 0 done, 1 something failed, 2 wrong arguments, style or recipe, 3 photo or data,
    4 face, 5 an extra is missing, 6 model file, 130 interrupted (docs/cli.md).
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may hold what the terminal's encoding does not; show it, never stop for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments, prog_name="visagist")
    except VisagistError as error:
        print_error(error, as_json="--json" in arguments)
        sys.exit(error.exit_code)
