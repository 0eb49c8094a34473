"""Runs a build of triplets: claims the folder, runs the parts that are not done, sums up.

``part-00000.tar`` is written before ``part-00000.json``; a part without the second does not exist.
``triplets.json`` ends a build, and ``rejected.jsonl`` lists what was thrown away.
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import cv2

from visagist.corpus import engines
from visagist.corpus.build.driver import disk_errors, first_difference, only_builder
from visagist.corpus.shards import TarWriter, encode_json
from visagist.corpus.task import CorpusTask, Item, SkippedItemError
from visagist.errors import ConfigError, DataError, InputError
from visagist.photo.files import write_atomically
from visagist.swap.triplets.task import Drawn, TripletTask
from visagist.swap.triplets.triplet import encode_triplet

SUMMARY, SETTINGS, REJECTED = "triplets.json", "settings.json", "rejected.jsonl"
FORMAT = 1
PART = 64
"""Triplets of a part: what a kill can cost."""
_FILES = ("part-*.tar", "part-*.json", SUMMARY, SETTINGS, REJECTED)


@dataclass(frozen=True)
class Built:
    """What a build came to.

    Attributes:
        summary: contents of ``triplets.json``.
        fresh: false where it was there already.
        resumed: parts that an earlier, broken run had finished.
        seconds: that this run took.
    """

    summary: Mapping[str, Any]
    fresh: bool
    resumed: int
    seconds: float


def build(
    task: TripletTask,
    out: Path,
    *,
    engine: engines.Engine = "serial",
    workers: int | None = None,
    address: str | None = None,
    shared: Sequence[Path] = (),
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Make a set of triplets, or go on with it where an earlier run was broken off.

    Equal settings give equal bytes, whatever the engine and the number of workers, and however
    often the build was killed on the way. A finished set grows when the task counts more; until
    the new triplets are finished, readers see the old ones.

    Args:
        task: what draws the triplets.
        out: folder of the set; empty, new, or one of an earlier run.
        engine: who runs the parts: ``serial``, ``processes`` or ``ray``.
        workers: how many at once; one a core by default.
        address: of a Ray cluster.
        shared: for Ray: what every machine must see.
        overwrite: delete the set or the broken run that lies in ``out``.
        progress: called with triplets done and all.

    Raises:
        ConfigError: ``out`` holds a set with other settings (the message names the first), or a
            larger one.
        InputError: ``out`` holds something else, or another build is writing there.
        DataError: a part is damaged, or ``out`` cannot be written.
    """
    began = perf_counter()
    run = partial(
        engines.run, engine, workers=workers, address=address, shared=shared, progress=progress
    )
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with only_builder(out):
            _claim(out, overwrite=overwrite)
            summary, resumed = _build(task, out, run)
    return Built(summary, resumed is not None, resumed or 0, perf_counter() - began)


def _build(
    task: TripletTask,
    out: Path,
    run: Any,  # noqa: ANN401  (engines.run with its options)
) -> tuple[dict[str, Any], int | None]:
    """The summary, and how many parts were there already; None where all of them were."""
    settings = json.loads(json.dumps(task.describe()))
    items = tuple(task.items())
    parts = {n: items[k : k + PART] for n, k in enumerate(range(0, len(items), PART))}
    todo = {n: part for n, part in parts.items() if not _is_done(out, n, len(part))}
    if (out / SUMMARY).exists():
        summary = _read(out / SUMMARY)
        _refuse_other(out, summary.get("settings"), settings)
        if summary.get("count") == task.count and not todo:
            return summary, None
        if int(summary.get("count", 0)) > task.count:
            raise ConfigError(
                f"{out} holds the triplets of {summary['count']} draws; it can grow, not shrink: "
                "choose another folder, or begin again with --overwrite"
            )
    elif (out / SETTINGS).exists():
        _refuse_other(out, _read(out / SETTINGS), settings)
    else:
        write_atomically(out / SETTINGS, encode_json(settings), overwrite=True)
    # an engine only hands the task and its items to run_part, which knows what comes back
    run(
        cast("CorpusTask", task),
        todo,
        out,
        run_chunk=partial(run_part, quality=task.config.quality),
    )
    return _finish(out, len(parts), settings, task.count), len(parts) - len(todo)


def run_part(
    task: CorpusTask, number: int, items: Sequence[Item], folder: Path, *, quality: int = 95
) -> None:
    """Draw the triplets of a part and write it, all or nothing.

    Raises:
        PhotoWriteError: the part could not be written; it does not exist then.
    """
    cv2.setNumThreads(1)  # parts are what runs in parallel
    stream = io.BytesIO()
    tar = TarWriter(stream)
    rows: list[dict[str, Any]] = []
    for item in items:
        row: dict[str, Any] = {"item": item.key}
        try:
            (drawn,) = cast("list[Drawn]", task.prepare(item))
        except SkippedItemError as error:
            rows.append(row | {"kind": "", "kept": False, "rejected": [error.reason]})
            continue
        rows.append(
            row | {
                "kind": drawn.kind,
                "kept": drawn.triplet is not None,
                "rejected": list(drawn.rejected),
                "edits": [] if drawn.triplet is None else _edits(drawn),
            }
        )  # fmt: skip
        if drawn.triplet is not None:
            tar.add(encode_triplet(drawn.triplet, quality=quality))
    tar.close()
    write_atomically(part_path(folder, number), stream.getvalue(), overwrite=True)
    write_atomically(_report_path(folder, number), encode_json({"rows": rows}), overwrite=True)


def _edits(drawn: Drawn) -> list[str]:
    assert drawn.triplet is not None
    names = dict.fromkeys((*drawn.triplet.source.edits, *drawn.triplet.target.edits))
    return [name for name in names if name != "changed"]


def part_path(folder: Path, number: int) -> Path:
    """Where the triplets of a part lie."""
    return folder / f"part-{number:05d}.tar"


def _report_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.json"


def _is_done(folder: Path, number: int, count: int) -> bool:
    """Whether a part is there with as many draws as it shall have; the last one may grow."""
    path = _report_path(folder, number)
    there = path.exists() and part_path(folder, number).exists()
    return there and len(_read(path).get("rows", ())) == count


def _finish(out: Path, parts: int, settings: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Write what a set holds; its summary last."""
    kept, drawn, reasons, edits = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    lines: list[str] = []
    for number in range(parts):
        for row in _read(_report_path(out, number)).get("rows", ()):
            drawn[row["kind"]] += 1 + len(row["rejected"]) - (not row["kept"])
            kept[row["kind"]] += row["kept"]
            reasons.update(f"{row['kind']}: {reason}" for reason in row["rejected"])
            edits.update(row.get("edits", ()))
            if row["rejected"]:
                lines.append(json.dumps(row, sort_keys=True) + "\n")
    if not sum(kept.values()):
        common = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common(3))
        raise DataError(
            f"{out}: not one triplet came of {count} draws: {common or 'none was made'}"
        )
    write_atomically(out / REJECTED, "".join(lines).encode(), overwrite=True)
    summary = {
        "format": FORMAT,
        "settings": settings,
        "mix": settings["recipe"]["mix"],
        "split": settings["split"],
        "count": count,
        "parts": parts,
        "triplets": sum(kept.values()),
        "kinds": dict(sorted(kept.items())),
        "draws": dict(sorted(drawn.items())),
        "rejected": dict(sorted(reasons.items())),
        "edits": dict(sorted(edits.items())),
    }
    write_atomically(out / SUMMARY, encode_json(summary), overwrite=True)
    (out / SETTINGS).unlink(missing_ok=True)
    for cache in out.glob("cache-*"):  # of a smaller set; large, and never opened again
        shutil.rmtree(cache, ignore_errors=True)
    return summary


def _claim(out: Path, *, overwrite: bool) -> None:
    for path in out.glob(".visagist-*.tmp"):  # what a kill in the middle of a write leaves
        path.unlink(missing_ok=True)
    ours = {path for pattern in _FILES for path in out.glob(pattern)}
    cache = {path for path in out.glob("cache-*") if path.is_dir()}
    if other := sorted(path.name for path in set(out.iterdir()) - ours - cache):
        raise InputError(
            f"{out} holds {other[0]}, which is no part of a set of triplets; give an empty or a "
            "new folder"
        )
    if overwrite:
        (out / SUMMARY).unlink(missing_ok=True)  # first, so that no half set looks whole
        for path in ours:
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, and it is made again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: damaged; delete it, and it is made again")
    return document


def _refuse_other(out: Path, there: Any, ours: Mapping[str, Any]) -> None:  # noqa: ANN401
    difference = first_difference(there, ours, "")
    if difference is not None:
        name, old, new = difference
        raise ConfigError(
            f"{out} was begun with {name} = {json.dumps(old)}, and now it is {json.dumps(new)}; "
            "choose another folder, or begin again with --overwrite"
        )
