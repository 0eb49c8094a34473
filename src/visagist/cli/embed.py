"""``visagist embed``: vectors of faces, for programs of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.makeup import parse_faces
from visagist.cli.output import Json, print_json, progress_bar
from visagist.errors import InputError, PhotoWriteError

if TYPE_CHECKING:
    from visagist.recognition.batch import Embedded

__all__ = ["embed"]


def embed(
    inputs: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos, folders, globs.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="FILE.npz or FILE.jsonl.")
    ],
    faces: Annotated[
        str, typer.Option(metavar="all|largest|N", help="Which faces; 0 is the largest.")
    ] = "all",
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Leave out faces in poor pictures.")
    ] = True,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also the folders inside folders.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    flip: Annotated[
        bool, typer.Option("--flip", help="Average with the mirrored view: twice the time.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the network.")] = 1,
    as_json: Json = False,
) -> None:
    """Turn faces into vectors whose cosine says how alike they are.

    A photo that cannot be read, shows no face or a poor one is reported and skipped. Vectors are
    biometric data: faces can be rebuilt from them. `visagist gallery` keeps them encrypted.
    """
    from visagist.photo.batch import gather
    from visagist.recognition.batch import SUFFIXES, embed_photos, write_vectors
    from visagist.recognition.inference import Recognizer

    if output.suffix not in SUFFIXES:
        raise InputError(f"cannot tell the format of {output}; end it in {' or '.join(SUFFIXES)}")
    if output.exists() and not overwrite:
        raise PhotoWriteError(f"{output} exists; give --overwrite or another --output")
    photos = [source for source, _ in gather(inputs, recursive=recursive)[0]]
    recognizer = Recognizer.from_pretrained(model, threads=threads, flip=flip)
    results: list[Embedded] = []
    with progress_bar("embed", len(photos), quiet=as_json) as advance:
        found = embed_photos(recognizer, photos, faces=parse_faces(faces), gate=gate)
        for done, of_photo in enumerate(found, 1):
            for result in of_photo:
                if result.error:
                    print(f"visagist: {result.source}: {result.reason}", file=sys.stderr)
            results += of_photo
            advance(done)
    write_vectors(output, results, recognizer.model_id, overwrite=overwrite)
    if as_json:
        print_json(_document(results, output, recognizer.model_id, recognizer.dimension))
    else:
        print(f"{output}: {_summary(results)}")
    if any(result.status == "failed" for result in results):
        raise typer.Exit(1)


def _counts(results: list[Embedded]) -> dict[str, int]:
    words = ("done", "no-face", "poor", "failed")
    return {word.replace("-", "_"): sum(r.status == word for r in results) for word in words}


def _summary(results: list[Embedded]) -> str:
    counts = _counts(results)
    words = {
        "done": "vectors",
        "no_face": "photos without a face",
        "poor": "poor pictures left out",
        "failed": "failed",
    }
    told = [f"{counts[s]} {word}" for s, word in words.items() if counts[s] or s == "done"]
    return ", ".join(told)


def _document(results: list[Embedded], path: Path, model_id: str, dimension: int) -> dict[str, Any]:
    return {
        "output": str(path),
        "model_id": model_id,
        "dimension": dimension,
        **_counts(results),
        "results": [result.as_dict() for result in results],
    }
