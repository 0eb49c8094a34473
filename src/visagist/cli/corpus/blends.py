"""``visagist corpus blends``: new people from the faces of a corpus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.corpus.build import Bars, Engine, print_built, report_of
from visagist.cli.output import Json, needs_extra, print_json

if TYPE_CHECKING:
    from visagist.corpus.blends.gate import Gate

__all__ = ["blends"]


def blends(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus of photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The new corpus.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Blended people.")] = 100,
    parents: Annotated[int, typer.Option(min=2, max=3, help="People in a blend.")] = 3,
    pictures: Annotated[
        int,
        typer.Option(min=1, max=8, help="Of each blend; all but one change expression and light."),
    ] = 2,
    splits: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="SPLIT", help="Whose people become parents; all, if not."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A recognition model (recognizer is the bundled one) or an ONNX face embedder; "
            "blends that resemble a parent are drawn again or left out.",
        ),
    ] = None,
    max_cosine: Annotated[
        float, typer.Option(min=-1, max=1, help="With --embedder: nearer is resembling.")
    ] = 0.3,
    grey: Annotated[
        bool, typer.Option("--grey", help="Also blend grey pictures, with each other.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other people.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Chunks at once; one a core by default.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Who runs the chunks.")] = Engine.processes,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the corpus that is there, begin again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Blend two or three people into one that does not exist; parents stay within their split."""
    with needs_extra("corpus"):
        from visagist.corpus.blends.config import make_config
        from visagist.corpus.blends.task import BlendTask
        from visagist.corpus.build import BuildConfig
        from visagist.corpus.build import build as run

    config = make_config(
        count=count,
        parents=parents,
        pictures=pictures,
        seed=seed,
        max_cosine=max_cosine,
        rules={"grey": grey},
        **({"splits": tuple(splits)} if splits else {}),
    )
    with needs_extra("scale"), Bars(quiet=as_json) as bars:  # only the engine ray imports more
        built = run(
            BlendTask(corpus.resolve(), config, None if embedder is None else _gate(embedder)),
            output,
            BuildConfig(chunk=16),
            engine=engine.value,
            workers=workers,
            address=address,
            shared=[corpus],
            overwrite=overwrite,
            progress=bars,
        )
    report = report_of(built)
    if as_json:
        print_json(report)
    else:
        print_built(built, report)


def _gate(embedder: str) -> Gate:
    from visagist.corpus.blends.gate import Gate, gate_of_file
    from visagist.recognition.inference import Recognizer
    from visagist.recognition.judge import recognition_judge

    if embedder.endswith(".onnx"):
        return gate_of_file(Path(embedder).resolve())
    model = str(Path(embedder).resolve()) if Path(embedder).is_dir() else embedder
    return Gate(Recognizer.from_pretrained(model).model_id, partial(recognition_judge, model))
