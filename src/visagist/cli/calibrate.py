"""``visagist calibrate``: thresholds that keep a wanted rate of errors, measured on people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table
from visagist.errors import CalibrationError, InputError

if TYPE_CHECKING:
    from visagist.recognition.calibration import Calibration, Threshold
    from visagist.recognition.gathering import Gathered
    from visagist.recognition.inference import Recognizer

__all__ = ["calibrate"]

_FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_FPIRS = ((1e-2, 10), (1e-2, 100), (1e-2, 1000), (3e-3, 100), (1e-3, 1000))
_TOLD = 5


def calibrate(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="One folder a person, a corpus, or LAYOUT:PATH of a face set (docs/data-sets.md).",
        ),
    ] = None,
    far: Annotated[
        list[float] | None,
        typer.Option(metavar="RATE", help="Wanted false accept rate of comparing two photos."),
    ] = None,
    fpir: Annotated[
        list[float] | None,
        typer.Option(
            metavar="RATE", help="Wanted share of strangers' searches that return anybody."
        ),
    ] = None,
    gallery_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="People in the gallery, for --fpir.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML whose sources are read, too.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that the paths of the recipe start from."),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only these people: train, validation or test; default: all."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Pictures of these kinds; default: photo."),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Leave out poor pictures, as users' are.")
    ] = True,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Estimate where the data do not reach.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to; default: your own calibration of this model, which is used from now.",
        ),
    ] = None,
    into_model: Annotated[
        bool, typer.Option("--into-model", help="Store it in the model's own folder instead.")
    ] = False,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    flip: Annotated[
        bool, typer.Option("--flip", help="For vectors averaged with the mirrored view.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the network.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure how often strangers look alike to the model, and set thresholds by that.

    Thresholds hold for people and pictures like these, so best calibrate on your own. What the
    people at hand cannot show is refused, and the message says how many more it would take.
    """
    from visagist.recognition.calibrating import calibrate as run
    from visagist.recognition.calibration_store import (
        add_to_model,
        user_calibration,
        write_calibration,
    )
    from visagist.recognition.gathering import describe
    from visagist.recognition.inference import Recognizer
    from visagist.runtime.store import open_model

    if bool(fpir) != (gallery_size is not None):
        raise InputError("--fpir and --gallery-size go together")
    if into_model and output is not None:
        raise InputError("give --output or --into-model, not both")
    files = open_model(model)
    recognizer = Recognizer(files, threads=threads, flip=flip)
    options = {"splits": split or [], "gate": gate, **({"kinds": kind} if kind else {})}
    gathered = _gather(recognizer, inputs or [], recipe, data, options, quiet=as_json)
    _tell(gathered)
    vectors = gathered.matrix()
    with progress_bar("calibrate", None, quiet=as_json) as advance:
        calibration = run(
            vectors,
            gathered.people,
            model_id=recognizer.model_id,
            data=describe(gathered, split or []),
            refused=gathered.refused,
            gallery_sizes=[gallery_size] if gallery_size else [],
            progress=advance,
        )
    if into_model:
        add_to_model(calibration, files)
        path = files.path
    else:
        path = output or user_calibration(recognizer.model_id)
        write_calibration(calibration, path)
    wanted: list[tuple[float, int | None]] = [(rate, None) for rate in far or ()]
    wanted += [(rate, gallery_size) for rate in fpir or ()]
    thresholds = _thresholds(calibration, wanted, extrapolate=extrapolate)
    if as_json:
        print_json(_document(calibration, thresholds, path))
    else:
        _print(calibration, thresholds, path)


def _gather(
    recognizer: Recognizer,
    inputs: list[str],
    recipe: Path | None,
    data: Path | None,
    options: dict[str, Any],
    *,
    quiet: bool,
) -> Gathered:
    """Templates of all that is given."""
    from visagist.corpus.sources.registry import open_sources
    from visagist.recognition.gathering import Gathered, gather_corpus, gather_sources, is_corpus

    given: list[Any] = [text for text in inputs if not is_corpus(text)]
    if recipe is not None:
        with needs_extra("corpus"):
            from visagist.corpus.build import CorpusRecipe
        given = [*CorpusRecipe.read(recipe).sources, *given]
    corpora = [text for text in inputs if is_corpus(text)]
    if not given and not corpora:
        raise InputError("nothing to calibrate with: give a DIR with one folder for each person")
    every = Gathered()
    sources = open_sources(given, data, folders_are="identities") if given else []
    if sources:
        with progress_bar("faces", None, quiet=quiet) as advance:
            every.add(gather_sources(recognizer, sources, progress=advance, **options))
    for text in corpora:
        with needs_extra("corpus"):
            from visagist.corpus.corpus import Corpus
        with progress_bar("faces", None, quiet=quiet) as advance:
            every.add(gather_corpus(recognizer, Corpus.open(text), progress=advance, **options))
    return every


def _tell(gathered: Gathered) -> None:
    """The first pictures that could not be read, to stderr."""
    for name, reason in gathered.problems[:_TOLD]:
        print(f"visagist: {name}: {reason}", file=sys.stderr)
    more = len(gathered.problems) - _TOLD
    if more > 0:
        print(f"visagist: and {more} more that could not be read", file=sys.stderr)


def _thresholds(
    calibration: Calibration, wanted: list[tuple[float, int | None]], *, extrapolate: bool
) -> list[Threshold]:
    """Those asked for, of which none may be missing, or else the usual ones that can be shown."""
    if wanted:
        return [_find(calibration, rate, size, extrapolate) for rate, size in wanted]
    usual: list[tuple[float, int | None]] = [(rate, None) for rate in _FARS]
    found = []
    for rate, size in usual + list(_FPIRS):
        try:
            found.append(_find(calibration, rate, size, extrapolate))
        except CalibrationError:
            continue  # the table shows what can be promised
    return found


def _find(calibration: Calibration, rate: float, size: int | None, extrapolate: bool) -> Threshold:
    if size is None:
        return calibration.threshold(far=rate, extrapolate=extrapolate)
    return calibration.threshold(fpir=rate, gallery_size=size, extrapolate=extrapolate)


def _print(calibration: Calibration, thresholds: list[Threshold], path: Path) -> None:
    counts = calibration.counts
    print(
        f"{counts.people:,} people ({counts.mated_people:,} with several pictures), "
        f"{counts.pictures:,} pictures, {counts.people_pairs:,} pairs of different people"
    )
    if counts.refused:
        told = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.refused.items()))
        print(f"left out: {told}")
    rows = [("promise", "threshold", "95 % interval", "mates found", "how")]
    for found in thresholds:
        kind = "FAR" if found.gallery_size is None else f"FPIR, gallery of {found.gallery_size:,},"
        low, high = found.interval
        rows.append(
            (
                f"{kind} {found.rate:.3g}",
                f"{found.value:.4f}",
                f"{low:.2g} to {high:.2g}",
                "-" if found.tar is None else f"{found.tar:.1%}",
                found.method,
            )
        )
    table(rows)
    print(f"written to {path}")


def _document(calibration: Calibration, thresholds: list[Threshold], path: Path) -> dict[str, Any]:
    counts = calibration.counts
    return {
        "model_id": calibration.model_id,
        "data": calibration.data,
        "written": str(path),
        "people": counts.people,
        "pictures": counts.pictures,
        "mated_people": counts.mated_people,
        "genuine_pairs": counts.genuine_pairs,
        "impostor_pairs": counts.impostor_pairs,
        "people_pairs": counts.people_pairs,
        "refused": dict(counts.refused),
        "thresholds": [
            {
                "kind": "far" if found.gallery_size is None else "fpir",
                "rate": found.rate,
                "gallery_size": found.gallery_size,
                "threshold": found.value,
                "low": found.interval[0],
                "high": found.interval[1],
                "tar": found.tar,
                "tar_low": found.tar_interval[0] if found.tar_interval else None,
                "tar_high": found.tar_interval[1] if found.tar_interval else None,
                "method": found.method,
            }
            for found in thresholds
        ],
    }
