"""``visagist amplify``: thousands of exact training pairs from a few before/after photos."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.corpus.build import Bars, Engine
from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table
from visagist.errors import ConfigError, InputError

if TYPE_CHECKING:
    from visagist.amplify.amplify import Amplified
    from visagist.amplify.pairs import Pairs

__all__ = ["amplify", "identity_gate"]


class Backend(StrEnum):
    """The names of ``visagist.amplify.backend.BACKENDS``."""

    ensemble = "ensemble"
    mesh = "mesh"
    pixels = "pixels"
    stable_diffusion = "stable-diffusion"


def amplify(
    pairs: Annotated[
        Path,
        typer.Argument(metavar="PAIRS", help="Folder, or CSV, of before and after photos."),
    ],
    faces: Annotated[
        list[Path],
        typer.Option(metavar="CORPUS", help="Whose training faces are made up; repeatable."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The new set.")],
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, help="Samples drawn; gates reject some.")
    ] = 4000,
    name: Annotated[
        str | None, typer.Option(help="Of the style; by default that of PAIRS.")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What learns the style.")] = Backend.ensemble,
    strength: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Strengths are drawn from this range.")
    ] = "0.7:1.0",
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Most samples of one face; by default as many as -n needs."),
    ] = None,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A recognition model: rejects samples whose identity moved. Not the one that "
            "evaluates the results.",
        ),
    ] = "recognizer",
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other samples.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Chunks at once; one a core by default.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Who runs the chunks.")] = Engine.processes,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")
    ] = None,
    from_photo: Annotated[
        bool,
        typer.Option(
            "--from-photo",
            help="PAIRS is one photo of a made-up face; how it looked before is estimated.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Learn a style from a few pairs and wear it on thousands of faces; goes on where it was."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.amplify.amplify import amplify as run
        from visagist.amplify.pairs import load_pairs

    config = _config(
        count=count,
        backend=backend.value,
        strength=_range(strength),
        seeds=seeds,
        seed=seed,
    )
    if from_photo:
        from visagist.amplify.pairs import Pairs as Found
        from visagist.amplify.template import ESTIMATED, open_template

        looks = [open_template(pairs)]
        found = Found((), (), (ESTIMATED,))
    else:
        with progress_bar("register", None, quiet=as_json) as advance:
            found = load_pairs(pairs, progress=advance)
        looks = list(found.looks)
    with needs_extra("scale"), Bars(quiet=as_json) as bars:  # only the engine ray imports more
        made = run(
            looks,
            faces,
            output,
            config,
            name=name or pairs.resolve().stem,
            embedder=identity_gate(embedder),
            engine=engine.value,
            workers=workers,
            address=address,
            progress=bars,
        )
    if as_json:
        print_json(_report(found, made))
    else:
        _print(found, made)


def _config(**settings: Any) -> Any:  # noqa: ANN401  (imported when it is needed)
    from pydantic import ValidationError

    from visagist.amplify.amplify import AmplifyConfig

    try:
        return AmplifyConfig(**settings)
    except ValidationError as error:
        raise ConfigError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        return float(low), float(high if colon else low)
    except ValueError as error:
        raise InputError(f"--strength is LOW:HIGH, for example 0.7:1.0, not {text!r}") from error


def identity_gate(embedder: str) -> Any:  # noqa: ANN401  (imported when it is needed)
    """The gate that opens a recognition model, by name or folder, where it is used."""
    from visagist.corpus.blends.gate import Gate
    from visagist.recognition.inference import Recognizer
    from visagist.recognition.judge import recognition_judge

    model = str(Path(embedder).resolve()) if Path(embedder).is_dir() else embedder
    return Gate(Recognizer.from_pretrained(model).model_id, partial(recognition_judge, model))


def _report(found: Pairs, made: Amplified) -> dict[str, object]:
    from dataclasses import asdict

    summary = made.summary
    return {
        "folder": str(made.folder),
        "report": str(made.folder / "report" / "index.html"),
        "style": summary["style"],
        "backend": summary["backend"],
        "pairs": summary["pairs"],
        "samples": summary["samples"],
        "rejected": summary["rejected"],
        "dropped": summary["dropped"],
        "reasons": summary["reasons"],
        "faces": summary["faces"],
        "fresh": made.fresh,
        "resumed_chunks": made.resumed,
        "seconds": round(made.seconds, 2),
        "samples_per_second": round(made.per_second, 3),
        "registrations": [
            {"name": one.look.name, **asdict(one.report)} for one in found.registrations
        ],
        "left_out": [asdict(one) for one in found.left_out],
        "warnings": list(found.warnings),
    }


def _print(found: Pairs, made: Amplified) -> None:
    for one in found.left_out:
        print(f"left out: {one.message}")
    for text in found.warnings:
        print(f"note: {text}")
    summary = made.summary
    rows = [
        ("pairs", str(summary["pairs"])),
        ("samples kept", str(summary["samples"])),
        ("samples rejected", str(summary["rejected"])),
        *((f"  {reason}", str(n)) for reason, n in summary["reasons"].items()),
        ("faces", str(summary["faces"])),
        ("samples a second", f"{made.per_second:.2f}" if made.fresh else "was there already"),
        ("report", str(made.folder / "report" / "index.html")),
    ]
    table(rows)
