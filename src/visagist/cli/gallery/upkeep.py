"""``visagist gallery export``, ``migrate`` and ``audit``: what a gallery's keeper has to do."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.gallery.shared import Key, Place, Threads, opened_gallery, recognizer_of
from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table

__all__ = ["audit", "export", "migrate"]


def export(
    gallery: Place,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="JSON Lines, a person a line.")
    ],
    key: Key = None,
    person: Annotated[str | None, typer.Option(help="Only this person, by name or id.")] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors/--no-vectors", help="With the vectors.")
    ] = True,
    crops: Annotated[bool, typer.Option("--crops", help="With the kept pictures.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write what is stored in the open, for the person it is about or for another program."""
    with needs_extra("gallery"):
        from visagist.gallery.exporting import write_export

    with opened_gallery(gallery, key) as opened:
        documents = opened.export(person, vectors=vectors, crops=crops)
        count = write_export(output, documents, overwrite=overwrite)
    if as_json:
        print_json({"output": str(output), "people": count})
    else:
        print(f"{output}: {count} {'person' if count == 1 else 'people'}, not sealed")


def migrate(
    gallery: Place,
    model: Annotated[str, typer.Option(help="Name or folder of the new model.")] = "recognizer",
    key: Key = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Go over although some people have no picture to embed."),
    ] = False,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Embed the kept pictures with another model and go over to it.

    Broken off, the gallery goes on with the model it has, and the same command with the rest.
    """
    with opened_gallery(gallery, key) as opened:
        recognizer = recognizer_of(model, threads=threads)
        with progress_bar("migrate", len(opened), quiet=as_json) as advance:
            told = opened.migrate(recognizer, partial=partial, progress=advance)
    document = {
        "from": told.source,
        "to": told.target,
        "switched": told.switched,
        "templates": told.templates,
        "people": told.people,
        "left": [person.name for person in told.left],
        "failed": [{"name": name, "reason": reason} for name, reason in told.failed],
    }
    if as_json:
        print_json(document)
    else:
        for name, reason in told.failed:
            print(f"visagist: {name}: {reason}", file=sys.stderr)
        for name in document["left"]:  # type: ignore[attr-defined]
            print(f"without a picture, to be enrolled again: {name}")
        print(
            f"{told.people} people have vectors of {told.target}; "
            + ("the gallery is now one of it" if told.switched else f"it stays with {told.source}")
        )
    if not told.switched:
        if not as_json and told.people:
            print("visagist: --partial goes over without them", file=sys.stderr)
        raise typer.Exit(1)


def audit(
    gallery: Place,
    key: Key = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="SEQUENCE:HASH", help="Of an earlier audit: nothing before it was taken back."
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Every change since the gallery began.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify every record and the log, and say who is due to be removed or enrolled again."""
    with opened_gallery(gallery, key) as opened:
        report = opened.audit(anchor=anchor)
    entries = [asdict(e) | {"time": e.time.isoformat()} for e in report.entries]
    document: dict[str, Any] = {
        "verified": True,
        "gallery": gallery,
        "model_id": report.model_id,
        "people": report.people,
        "templates": report.templates,
        "crops": report.crops,
        "without_end": report.endless,
        "changes": len(entries),
        "anchor": report.anchor,
        "expired": [person.name for person in report.expired],
        "outdated": [person.name for person in report.outdated],
    }
    if as_json:
        print_json(document | ({"log": entries} if log else {}))
        return
    table((n.replace("_", " "), str(v)) for n, v in document.items() if not isinstance(v, list))
    for entry in entries if log else []:
        details = ", ".join(f"{key} {value}" for key, value in entry["details"].items())
        whom = " ".join(id[:8] for id in entry["people"][:3])
        more = f" and {len(entry['people']) - 3} more" if len(entry["people"]) > 3 else ""
        print(
            f"{entry['sequence']:6} {entry['time'][:19]} {entry['action']:8} {whom}{more} {details}"
        )
    for name in document["expired"]:
        print(f"expired, to be removed (`gallery remove --expired`): {name}")
    for name in document["outdated"]:
        print(f"without a vector of this model, to be enrolled again: {name}")
