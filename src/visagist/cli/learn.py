"""``visagist learn``: a style of one's own from a few before/after photos."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.amplify import Backend, identity_gate
from visagist.cli.output import Json, needs_extra, print_json, stages, table
from visagist.errors import DataError

__all__ = ["learn"]


def learn(
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="Folder, or CSV, of before and after photos.")
    ],
    name: Annotated[str, typer.Option(help="Of the style: small letters, digits and hyphens.")],
    faces: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CORPUS",
            help="Bare faces to learn on, of `visagist corpus build`; repeatable. "
            "By default the folder `faces` among your data (`visagist doctor` says where).",
        ),
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What learns the style.")] = Backend.ensemble,
    count: Annotated[
        int, typer.Option("-n", "--count", min=8, help="Amplified samples, if time allows.")
    ] = 4000,
    steps: Annotated[
        int, typer.Option(min=1, help="Of the small network's training, if time allows.")
    ] = 2500,
    minutes: Annotated[
        float, typer.Option(min=0.0, help="It may take in all; 0 for as long as it needs.")
    ] = 60.0,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For everything on the way; by default among your data."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep that folder, with the amplified pairs.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of your style of this name.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an earlier start was stopped.")
    ] = False,
    held_out: Annotated[
        int, typer.Option(min=1, help="Validation people that the result is judged on.")
    ] = 64,
    embedder: Annotated[
        str, typer.Option(metavar="MODEL", help="Rejects samples whose identity moved.")
    ] = "recognizer",
    start: Annotated[
        str, typer.Option(metavar="MODEL", help="The makeup model that training starts from.")
    ] = "makeup-tiny",
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other samples.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core by default.")
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
    """Learn a makeup style from a few before/after photos, and install it.

    The photos are laid over each other, an amplifier learns what changed and makes up thousands of
    faces, and a small network learns from these. Stopped, the same command goes on.
    """
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.amplify.learn import LearnConfig, check_name
        from visagist.amplify.learn import learn as run
        from visagist.amplify.work import clear
    from visagist.runtime.store import user_data

    folder = work if work is not None else user_data() / "learning" / name
    if restart:
        check_name(name, replace=replace)  # before anything is deleted
        clear(folder)
    config = LearnConfig(
        backend=backend.value,
        count=count,
        steps=steps,
        held_out=held_out,
        start=start,
        seed=seed,
        from_photo=from_photo,
    )
    corpora = faces or [_usual_faces(user_data() / "faces")]
    try:
        with stages(quiet=as_json) as told:
            report = run(
                pairs,
                name,
                corpora,
                folder,
                config,
                minutes=minutes or None,
                replace=replace,
                embedder=identity_gate(embedder),
                workers=workers or _cores(),
                report=told,
            )
    except KeyboardInterrupt:
        print("visagist: stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    if not keep:
        clear(folder)
    if as_json:
        print_json({"style": name, **report})
    else:
        _print(name, report)


def _usual_faces(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(
            f"there are no faces to learn on: give --faces CORPUS, or make one at {folder} from "
            f"photos of many people: visagist corpus build FOLDER -o {folder}"
        )
    return folder


def _cores() -> int:
    """Those that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def _print(name: str, report: dict[str, Any]) -> None:
    for one in report["left_out"]:
        print(f"left out: {one['message']}")
    for text in report["warnings"]:
        print(f"note: {text}")
    table(
        [
            ("style", name),
            ("model", str(report["model"])),
            ("pairs", str(report["pairs"])),
            ("amplified faces", f"{report['samples']} ({report['rejected']} rejected)"),
            ("gain over bare, held-out people", f"{report['gain']:+.2f} dB (to the amplifier's)"),
            ("gain over bare, the pairs", f"{report['pairs_gain']:+.2f} dB"),
            ("leakage", f"{report['leakage']:.1%}"),
            ("minutes", f"{report['minutes_total']:.1f}"),
        ]
    )
    print(f"try it: visagist makeup PHOTO --style {name}")
