"""``visagist makeup``: make up the faces in photos."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from visagist.cli.output import Json, print_json, progress_bar
from visagist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from visagist.makeup.batch import Outcome, Save, Settings
    from visagist.photo import Photo
    from visagist.photo.batch import Job

__all__ = ["makeup"]


def makeup(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Photos, folders, globs.")
    ],
    style: Annotated[
        str | None, typer.Option(help="Name of a style (`visagist styles`); default rosewood.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option(metavar="A:0.6,B:0.4", help="Several styles and their shares.")
    ] = None,
    intensity: Annotated[
        float, typer.Option(min=0.0, max=1.5, help="Of the whole style; 1 is as designed.")
    ] = 1.0,
    lips: Annotated[float, typer.Option(min=0.0, max=1.5, help="Of the lips alone.")] = 1.0,
    eyes: Annotated[float, typer.Option(min=0.0, max=1.5, help="Of the eyes alone.")] = 1.0,
    skin: Annotated[float, typer.Option(min=0.0, max=1.5, help="Of the skin alone.")] = 1.0,
    faces: Annotated[
        str, typer.Option(metavar="all|largest|N", help="Which faces; 0 is the largest.")
    ] = "all",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File for one photo, folder for several. "
            "Default: NAME-STYLE beside the photo, or the folder visagist-output.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also write NAME-compare, before beside after.")
    ] = False,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF results.")
    ] = 95,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also the folders inside folders.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the networks.")] = 1,
    protect: Annotated[
        bool,
        typer.Option(
            "--protect/--no-protect",
            help="Keep off hair, glasses, hands and what else is in front of a face.",
        ),
    ] = True,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the model; default makeup-tiny, or yours that has the style."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make up the faces in photos.

    Several photos are worked through one by one: a broken one is reported and skipped, a finished
    one is not done again, so the same command goes on where it was stopped.
    """
    from visagist.makeup.batch import Settings, run_batch, run_one
    from visagist.makeup.inference import Makeup
    from visagist.makeup.learned import model_for
    from visagist.photo.batch import gather, plan

    if style is not None and mix is not None:
        raise InputError("give --style or --mix, not both")
    photos, single = gather(inputs, recursive=recursive, output=output)
    shares = parse_mix(mix) if mix is not None else None
    settings = Settings(
        style=style or "rosewood",
        mix=shares,
        intensity=intensity,
        lips=lips,
        eyes=eyes,
        skin=skin,
        faces=parse_faces(faces),
        compare=compare,
        quality=quality,
        overwrite=overwrite,
    )
    jobs = plan(photos, single=single, output=output, suffix=settings.label, overwrite=overwrite)
    chosen = model if model is not None else model_for(settings.weights)
    engine = Makeup.from_pretrained(chosen, threads=threads, protect=protect)
    engine.style_code(settings.weights)  # an unknown style is told before the first photo
    save = _saver(str(chosen), settings)
    if single:
        outcome = run_one(engine, jobs[0], settings, save)
        if as_json:
            print_json(_document([outcome]))
        else:
            print(_line(outcome))
        return
    outcomes = _with_progress(run_batch(engine, jobs, settings, save), len(jobs), quiet=as_json)
    if as_json:
        print_json(_document(outcomes))
    else:
        print(_summary(outcomes))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _saver(model: str, settings: Settings) -> Save:
    """Writes with metadata that say what was done; the pixels stay exactly the made-up ones."""
    from visagist.cli.marking import save_marked
    from visagist.provenance.claims import Claim

    claim = Claim(kind="makeup", model_id=Path(model).name or model)

    def save(photo: Photo, path: Path, job: Job) -> None:
        save_marked(
            photo,
            path,
            claim,
            target=job.source,
            watermark=False,
            quality=settings.quality,
            overwrite=settings.overwrite,
        )

    return save


def parse_mix(text: str) -> dict[str, float]:
    """``"a:0.6,b:0.4"`` as shares by style.

    Raises:
        InputError: it does not have that form, or a style is named twice.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if not (name and colon and 0.0 <= share < math.inf) or name in shares:
            raise InputError(
                f"cannot read --mix {text!r} at {part.strip()!r}; "
                "write each style once with its share, such as rosewood:0.6,smoky:0.4"
            )
        shares[name] = share
    return shares


def parse_faces(text: str) -> Literal["all", "largest"] | int:
    """``all``, ``largest`` or the number of a face, counted from 0 by size.

    Raises:
        InputError: it is none of these.
    """
    if text == "all":
        return "all"
    if text == "largest":
        return "largest"
    if text.isascii() and text.isdigit():
        return int(text)
    raise InputError(f"--faces is all, largest or a number from 0, not {text!r}")


def _with_progress(outcomes: Iterable[Outcome], total: int, *, quiet: bool) -> list[Outcome]:
    """Run the batch with a bar on a terminal, and one line to stderr for what was not done."""
    done: list[Outcome] = []
    try:
        with progress_bar("makeup", total, quiet=quiet) as advance:
            for outcome in outcomes:
                done.append(outcome)
                if outcome.status in {"failed", "no-face"}:
                    print(f"visagist: {outcome.source}: {outcome.reason}", file=sys.stderr)
                advance(len(done))
    except KeyboardInterrupt:
        print(
            f"visagist: stopped, {_summary(done)}; {total - len(done)} to go: "
            "the same command goes on from here",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    return done


def _line(outcome: Outcome) -> str:
    count = f"{outcome.faces} face" + ("" if outcome.faces == 1 else "s")
    return f"{outcome.target} ({count}, {sum(outcome.timings.values()):.0f} ms)"


def _summary(outcomes: list[Outcome]) -> str:
    words = {
        "done": "made up",
        "skipped": "already there",
        "no-face": "without a face",
        "failed": "failed",
    }
    counts = {status: sum(o.status == status for o in outcomes) for status in words}
    told = [f"{counts[s]} {word}" for s, word in words.items() if counts[s] or s == "done"]
    return ", ".join(told)


def _document(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "results": [outcome.as_dict() for outcome in outcomes],
        "done": sum(o.status == "done" for o in outcomes),
        "skipped": sum(o.status == "skipped" for o in outcomes),
        "no_face": sum(o.status == "no-face" for o in outcomes),
        "failed": sum(o.status == "failed" for o in outcomes),
    }
