"""The end of a build: from finished chunks to shards, index, report and summary."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from visagist.corpus.build.choose import Choice, choose
from visagist.corpus.build.chunk import Dropped, read_chunk
from visagist.corpus.build.config import BuildConfig
from visagist.corpus.build.gather import Gathered, SampleFiles, gather
from visagist.corpus.corpus import FORMAT, INDEX, REPORT, SHARDS, SUMMARY
from visagist.corpus.index import index_row, write_index
from visagist.corpus.sample import SPLITS
from visagist.corpus.shards import (
    BLOCK,
    LABELS,
    MESH,
    decode_array,
    encode_json,
    further_members,
    picture_of,
    split_members,
)

Progress = Callable[[str, int, int], None]
_TRAILER = bytes(2 * BLOCK)  # ends a tar file


def finish(
    out: Path,
    work: Path,
    chunks: int,
    *,
    settings: dict[str, Any],
    config: BuildConfig,
    say: Progress,
) -> dict[str, Any]:
    """Write the corpus from its chunks; everything appears under its name only when it is whole.

    Args:
        out: folder of the corpus.
        work: folder of the chunks, on the same disk.
        chunks: their number.
        settings: what the corpus was made with, for ``corpus.json``.
        config: of the build.
        say: called with a stage, what is done of it and its size.

    Returns:
        contents of ``corpus.json``.

    Raises:
        DataError: a chunk is damaged, or an identity has two given splits.
    """
    room = work / "finish"
    shutil.rmtree(room, ignore_errors=True)
    (room / SHARDS).mkdir(parents=True)
    gathered = gather(work, chunks, config)
    with SampleFiles(work, gathered) as files:
        choice = choose(gathered, files, config, lambda done, of: say("compare", done, of))
        order = _order(gathered, choice)
        shards: list[dict[str, Any]] = []
        rows = _write_shards(
            room / SHARDS, gathered, choice, files, order=order, config=config, shards=shards
        )
        counted = _counted(rows, lambda done: say("write", done, len(order)))
        write_index(room / INDEX, counted)
    reasons = _write_report(room / REPORT, work, chunks, gathered, choice)
    summary = settings | {
        "format": FORMAT,
        "counts": _counts(settings, gathered, choice, order, reasons),
        "near_duplicates": {
            "pairs": choice.pairs,
            "across_identities": choice.across,
            "alike": choice.alike,
        },
        "index_sha256": _digest(room / INDEX),
        "shards": shards,
    }
    text = json.dumps(summary, indent=2, sort_keys=True) + "\n"
    (room / SUMMARY).write_text(text, encoding="utf-8")
    _publish(room, out)
    return summary


def _order(gathered: Gathered, choice: Choice) -> list[int]:
    """The samples to write: by split, then by key, which is a hash and so shuffles the sources."""
    kept = np.array([n for n in range(len(gathered)) if n not in choice.reason], np.int64)
    if not len(kept):
        return []
    ranks = np.lexsort((gathered.keys[kept], choice.split[kept]))
    return [int(n) for n in kept[ranks]]


def _write_shards(
    folder: Path,
    gathered: Gathered,
    choice: Choice,
    files: SampleFiles,
    *,
    order: list[int],
    config: BuildConfig,
    shards: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Write shard after shard; yields the row of each sample and fills ``shards``."""
    for rank, split in enumerate(SPLITS):
        numbers = [n for n in order if choice.split[n] == rank]
        for first in range(0, len(numbers), config.shard_size):
            name = f"{split}-{first // config.shard_size:05d}.tar"
            digest, offset = hashlib.sha256(), 0
            part = numbers[first : first + config.shard_size]
            with (folder / name).open("wb") as shard:
                for number in part:
                    data = files.read(number)
                    shard.write(data)
                    digest.update(data)
                    thumbnail = gathered.thumbnails[number].tobytes()
                    yield _row(data, thumbnail, split=split, shard=name, offset=offset)
                    offset += len(data)
                shard.write(_TRAILER)
                digest.update(_TRAILER)
                shard.flush()
                os.fsync(shard.fileno())
            shards.append({"name": name, "samples": len(part), "sha256": digest.hexdigest()})


def _row(data: bytes, thumbnail: bytes, *, split: str, shard: str, offset: int) -> dict[str, Any]:
    members = split_members(data)
    return index_row(
        json.loads(members[LABELS]),
        mesh=decode_array(members[MESH]),
        thumbnail=thumbnail,
        split=split,
        extras=sorted(further_members(members)),
        shard=shard,
        offset=offset + BLOCK,  # the picture is the first member
        length=len(picture_of(members)),
    )


def _counted(
    rows: Iterator[dict[str, Any]], say: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for done, row in enumerate(rows, 1):
        yield row
        say(done)


def _write_report(
    path: Path, work: Path, chunks: int, gathered: Gathered, choice: Choice
) -> Counter[str]:
    """One line for everything that was dropped, in the order of the items; counts by reason."""
    reasons: Counter[str] = Counter()
    number = 0
    with path.open("wb") as report:
        for chunk in range(chunks):
            rows, dropped = read_chunk(work, chunk)
            for row in rows:
                if number in choice.reason:
                    origin = row.labels["origin"]
                    why = choice.reason[number]
                    dropped.append(
                        Dropped(row.labels["key"], origin["source"], origin["item"], *why)
                    )
                number += 1
            for line in dropped:
                reasons[line.reason] += 1
                report.write(encode_json(asdict(line)))
    return reasons


def _counts(
    settings: dict[str, Any],
    gathered: Gathered,
    choice: Choice,
    order: list[int],
    reasons: Counter[str],
) -> dict[str, Any]:
    splits = Counter(SPLITS[int(choice.split[n])] for n in order)
    return {
        "items": settings["items"]["count"],
        "samples": len(gathered),
        "kept": len(order),
        "identities": len({int(gathered.person[n]) for n in order}),
        "splits": {name: splits[name] for name in SPLITS},
        "dropped": dict(sorted(reasons.items())),
    }


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _publish(room: Path, out: Path) -> None:
    """Give everything its name; the summary, which makes it a corpus, comes last."""
    shutil.rmtree(out / SHARDS, ignore_errors=True)
    for name in (SHARDS, INDEX, REPORT, SUMMARY):
        (room / name).replace(out / name)
