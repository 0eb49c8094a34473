"""``visagist gallery search``: who is on photos."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    error_fields,
    opened_gallery,
    recognizer_of,
)
from visagist.cli.output import Json, needs_extra, print_json, progress_bar
from visagist.errors import InputError, VisagistError

if TYPE_CHECKING:
    from visagist.gallery.batch import Found
    from visagist.gallery.gallery import Gallery
    from visagist.gallery.types import Candidate
    from visagist.recognition.calibration import Threshold
    from visagist.recognition.inference import Recognizer

__all__ = ["search"]


def search(
    gallery: Place,
    inputs: Inputs,
    key: Key = None,
    fpir: Annotated[
        float | None,
        typer.Option(
            help="Share of strangers who may get a name, as calibrated for this gallery's size; "
            "default 0.01."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="Least score of a match, with no promise of errors."),
    ] = None,
    extrapolate: Annotated[
        bool,
        typer.Option("--extrapolate", help="Estimate where the calibration's data do not reach."),
    ] = False,
    face: Annotated[
        str | None, typer.Option(metavar="all|N", help="Which face; 0 is the largest.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Candidates a face, at most.")] = 1,
    gate: Gate = True,
    calibration: CalibrationFile = None,
    model: Model = "recognizer",
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Say who is on photos. Somebody below the threshold is unknown, never the nearest name."""
    with needs_extra("gallery"):
        from visagist.gallery.batch import search_photo
    from visagist.photo import Photo
    from visagist.photo.batch import gather

    photos, single = gather(inputs, recursive=True)
    faces = _which(face)
    documents: list[dict[str, Any]] = []
    with opened_gallery(gallery, key) as opened:
        recognizer = recognizer_of(model, opened, threads)
        limit = _threshold(recognizer, opened, threshold, fpir, calibration, extrapolate)
        with progress_bar("search", len(photos), quiet=as_json or single) as advance:
            for done, (path, _) in enumerate(photos):
                try:
                    found = search_photo(
                        opened,
                        recognizer,
                        Photo.open(path),
                        threshold=limit,
                        top=top,
                        faces=faces,
                        gate=gate,
                    )
                except VisagistError as error:
                    if single:
                        raise
                    print(f"visagist: {path}: {error}", file=sys.stderr)
                    told: dict[str, Any] = {"faces": [], "error": error_fields(error)}
                else:
                    told = {"faces": [_face(one) for one in found]}
                documents.append({"input": str(path)} | told)
                advance(done + 1)
        promise = _promise(limit, opened)
    failed = sum("error" in document for document in documents)
    if as_json:
        print_json({"results": documents, **promise, "failed": failed})
    else:
        _print_answers(documents)
        print(_promised(promise))
    if failed:
        raise typer.Exit(1)


def _threshold(
    recognizer: Recognizer,
    gallery: Gallery,
    threshold: float | None,
    fpir: float | None,
    calibration: Path | None,
    extrapolate: bool,
) -> float | Threshold:
    if threshold is not None:
        if fpir is not None:
            raise InputError("give --threshold or --fpir, not both")
        return threshold
    size = max(1, gallery.matchable())
    wanted = 0.01 if fpir is None else fpir
    return calibrated(recognizer, calibration, wanted, size, extrapolate=extrapolate)


def _which(face: str | None) -> Literal["all"] | int | None:
    if face is None:
        return None
    if face == "all":
        return "all"
    if face.isascii() and face.isdigit():
        return int(face)
    raise InputError(f"--face is all or a number from 0, not {face!a}")


def _promise(limit: float | Threshold, gallery: Gallery) -> dict[str, Any]:
    """What the answers are worth, as flat fields."""
    size = gallery.matchable()
    if isinstance(limit, int | float):
        return {"threshold": limit, "fpir": None, "fpir_interval": None, "searched": size}
    return {
        "threshold": limit.value,
        "fpir": limit.rate,
        "fpir_interval": list(limit.interval),
        "fpir_method": limit.method,
        "searched": size,
    }


def _promised(promise: dict[str, Any]) -> str:
    head = f"threshold {promise['threshold']:.3f}, {promise['searched']} people: "
    if promise["fpir"] is None:
        return head + "given, so nobody knows how many strangers get a name"
    low, high = promise["fpir_interval"]
    return head + (
        f"{promise['fpir']:.2%} of strangers get a name ({promise['fpir_method']}; "
        f"95 % interval {low:.2%} to {high:.2%})"
    )


def _face(one: Found) -> dict[str, Any]:
    document: dict[str, Any] = {"face": one.face, "box": list(one.box)}
    if one.result is None:
        assert one.error is not None
        return document | {"decision": None, "error": error_fields(one.error)}
    best: Candidate | None = one.result.candidates[0] if one.result.candidates else None
    return document | {
        "decision": one.result.decision,
        "name": best.name if best else None,
        "score": best.score if best else None,
        "candidates": [asdict(candidate) for candidate in one.result.candidates],
    }


def _print_answers(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        for face in document["faces"]:
            where = document["input"] + (
                f" face {face['face']}" if len(document["faces"]) > 1 else ""
            )
            if face["decision"] is None:
                print(f"{where}: {face['error']['message']}")
            elif face["decision"] == "unknown":
                print(f"{where}: unknown")
            else:
                told = (f"{c['name']} ({c['score']:.3f})" for c in face["candidates"])
                print(f"{where}: {', '.join(told)}")
