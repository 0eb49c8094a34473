"""A chunk of a build: the unit that is done or not done.

``chunk-00012.tar`` holds the samples as they will lie in a shard, ``chunk-00012.json`` says what is
in it and what was dropped. The second is written last; a chunk without it does not exist.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from visagist.corpus.fingerprints import thumbnail
from visagist.corpus.sample import Sample
from visagist.corpus.shards import (
    PictureFormat,
    TarWriter,
    encode_json,
    encode_sample,
    labels_of,
)
from visagist.corpus.task import CorpusTask, Item, SkippedItemError
from visagist.errors import DataError
from visagist.photo.files import write_atomically


@dataclass(frozen=True, slots=True)
class Dropped:
    """A line of the report.

    Attributes:
        key: of the item, or of the sample.
        source: name of the source.
        item: the picture inside the source.
        reason: one of a few words.
        detail: the sentence for people.
    """

    key: str
    source: str
    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    """A sample of a chunk, without its pictures.

    Attributes:
        labels: as :func:`~visagist.corpus.shards.labels_of` gives them.
        thumbnail: 256 bytes, the grey view that confirms near-duplicates.
        start: where its first header begins in the chunk's tar file.
        length: of all its members with their headers.
    """

    labels: dict[str, Any]
    thumbnail: bytes
    start: int
    length: int


def run_chunk(
    task: CorpusTask,
    number: int,
    items: Sequence[Item],
    folder: Path,
    *,
    picture: PictureFormat = "jpg",
    quality: int = 95,
) -> None:
    """Prepare the items of a chunk and write it, all or nothing.

    Args:
        task: makes the samples.
        number: of the chunk, counted from 0 over all items.
        items: what belongs to it.
        folder: where chunks are written.
        picture: format of the crops.
        quality: of JPEG crops.

    Raises:
        PhotoWriteError: the chunk could not be written; it does not exist then.
    """
    cv2.setNumThreads(1)  # chunks are what runs in parallel
    stream = io.BytesIO()
    tar = TarWriter(stream)
    rows: list[dict[str, Any]] = []
    dropped: list[dict[str, str]] = []
    for item in items:
        try:
            samples = task.prepare(item)
        except SkippedItemError as error:
            origin = getattr(item.payload, "origin", None)
            source, name = ("", item.key) if origin is None else (origin.source, origin.item)
            line = Dropped(item.key, source, name, error.reason, error.detail)
            dropped.append(asdict(line))
            continue
        rows += [_write(tar, sample, picture, quality) for sample in samples]
    tar.close()
    summary = {"keys": [item.key for item in items], "rows": rows, "dropped": dropped}
    write_atomically(tar_path(folder, number), stream.getvalue(), overwrite=True)
    write_atomically(summary_path(folder, number), encode_json(summary), overwrite=True)


def _write(tar: TarWriter, sample: Sample, picture: PictureFormat, quality: int) -> dict[str, Any]:
    start = tar.offset
    tar.add(encode_sample(sample, picture=picture, quality=quality))
    return {
        "labels": labels_of(sample),
        "thumbnail": base64.b64encode(thumbnail(sample.image, sample.zoom).tobytes()).decode(),
        "start": start,
        "length": tar.offset - start,
    }


def tar_path(folder: Path, number: int) -> Path:
    """Where the samples of a chunk lie."""
    return folder / f"chunk-{number:05d}.tar"


def summary_path(folder: Path, number: int) -> Path:
    """What says that a chunk is done."""
    return folder / f"chunk-{number:05d}.json"


def read_chunk(folder: Path, number: int) -> tuple[list[Row], list[Dropped]]:
    """What a finished chunk holds.

    Raises:
        DataError: it cannot be read.
    """
    path = summary_path(folder, number)
    try:
        summary = json.loads(path.read_bytes())
        return [_row(row) for row in summary["rows"]], [Dropped(**d) for d in summary["dropped"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); delete it, and the build makes it again"
        ) from error


def _row(row: dict[str, Any]) -> Row:
    return Row(
        labels=row["labels"],
        thumbnail=base64.b64decode(row["thumbnail"]),
        start=row["start"],
        length=row["length"],
    )
