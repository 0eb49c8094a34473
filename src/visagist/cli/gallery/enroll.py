"""``visagist gallery enroll``: photos and folders of people into a gallery."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.gallery.shared import (
    CalibrationFile,
    Gate,
    Inputs,
    Key,
    Model,
    Place,
    Threads,
    calibrated,
    opened_gallery,
    parse_date,
    recognizer_of,
)
from visagist.cli.output import Json, needs_extra, print_json, progress_bar
from visagist.errors import CalibrationError

if TYPE_CHECKING:
    from visagist.gallery.batch import Outcome
    from visagist.gallery.gallery import Gallery
    from visagist.recognition.inference import Recognizer

__all__ = ["enroll"]

LOOKALIKE_FPIR = 0.01
"""At enrolment a face counts as somebody else's at the threshold for this FPIR."""


def enroll(
    gallery: Place,
    inputs: Inputs,
    consent: Annotated[
        str, typer.Option(help="What was agreed, and where that is on record.", show_default=False)
    ],
    retain_until: Annotated[
        str,
        typer.Option(
            metavar="DATE|DAYS|never",
            help="Last day they may be matched: 2027-11-30, or 365d from today.",
            show_default=False,
        ),
    ],
    key: Key = None,
    name: Annotated[
        str | None,
        typer.Option(help="Whose the pictures are; default: the name of folder or file."),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Also to people who are in the gallery already.")
    ] = False,
    keep_crops: Annotated[
        bool,
        typer.Option("--keep-crops", help="Keep the faces' pictures, sealed, for a later model."),
    ] = False,
    face: Annotated[
        int | None, typer.Option(min=0, help="Which face of each photo; 0 is the largest.")
    ] = None,
    gate: Gate = True,
    lookalike: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Refuse a face that scores so much with somebody else; default: as calibrated.",
        ),
    ] = None,
    allow_lookalikes: Annotated[
        bool, typer.Option("--allow-lookalikes", help="Do not look for the face under other names.")
    ] = False,
    calibration: CalibrationFile = None,
    model: Model = "recognizer",
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Enrol the faces of photos; a folder inside a given folder is one person.

    What is finished stays finished: after Ctrl-C the same command goes on where it stopped.
    """
    with needs_extra("gallery"):
        from visagist.gallery.batch import Settings, enroll_pictures, gather_pictures

    pictures = gather_pictures(inputs, name=name)
    until = parse_date(retain_until)
    with opened_gallery(gallery, key) as opened:
        recognizer = recognizer_of(model, opened, threads)
        if lookalike is None and not allow_lookalikes:
            coming = len({picture.person for picture in pictures})
            lookalike = _lookalike(recognizer, calibration, opened.matchable() + coming)
        settings = Settings(
            consent=consent,
            retain_until=until,
            add=add,
            keep_crops=keep_crops,
            pick=face,
            gate=gate,
            lookalike=None if allow_lookalikes else lookalike,
        )
        outcomes = _with_progress(
            enroll_pictures(opened, recognizer, pictures, settings), len(pictures), quiet=as_json
        )
        document = _enrolled(outcomes, opened)
    if as_json:
        print_json(document)
    else:
        print(_summary(outcomes))
    if document["failed"]:
        raise typer.Exit(1)


def _lookalike(recognizer: Recognizer, path: Path | None, people: int) -> float | None:
    """The score at which a face is taken to be somebody else's; none without a calibration.

    Args:
        recognizer: whose scores they are.
        path: of a calibration, or its own.
        people: enrolled when all is done: the last one is compared with all others.
    """
    try:
        found = calibrated(recognizer, path, LOOKALIKE_FPIR, max(1, people), extrapolate=True)
    except CalibrationError as error:
        if path is not None:
            raise
        print(
            f"visagist: one face under two names will not be noticed ({error}); "
            "--lookalike SCORE looks all the same",
            file=sys.stderr,
        )
        return None
    return found.value


def _with_progress(outcomes: Iterator[Outcome], total: int, *, quiet: bool) -> list[Outcome]:
    """Run with a bar on a terminal, and one line to stderr for what was not done."""
    done: list[Outcome] = []
    try:
        with progress_bar("enroll", total, quiet=quiet) as advance:
            for outcome in outcomes:
                done.append(outcome)
                if outcome.status == "failed":
                    print(f"visagist: {outcome.path}: {outcome.reason}", file=sys.stderr)
                advance(len(done))
    except KeyboardInterrupt:
        print(
            f"visagist: stopped, {_summary(done)}; {total - len(done)} to go: "
            "the same command goes on from here",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    return done


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    return {
        s: sum(o.status == s for o in outcomes) for s in ("enrolled", "added", "already", "failed")
    }


def _summary(outcomes: list[Outcome]) -> str:
    words = {
        "enrolled": "enrolled",
        "added": "added",
        "already": "there already",
        "failed": "failed",
    }
    counts = _counts(outcomes)
    return ", ".join(f"{counts[s]} {w}" for s, w in words.items() if counts[s] or s == "enrolled")


def _enrolled(outcomes: list[Outcome], gallery: Gallery) -> dict[str, Any]:
    results = [outcome.as_dict() for outcome in outcomes]
    return {"results": results, **_counts(outcomes), "people": len(gallery)}
