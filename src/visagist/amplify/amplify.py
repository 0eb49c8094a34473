"""Few looks in, thousands of exact pairs out: fit, render on the faces of corpora, judge, write.

Equal settings give equal shards, whatever the engine and however often the run was broken off. A
chunk is some faces with all their samples, so that near-copies meet in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist import __version__
from visagist.amplify.backend import DEFAULT, Look, open_backend
from visagist.amplify.chunk import (
    Amplifier,
    FaceDraws,
    FaceTask,
    amplify_chunk,
    read_chunk,
    summary_path,
)
from visagist.amplify.gates import GateConfig, expect
from visagist.amplify.pairset import (
    FORMAT,
    REJECTED,
    SHARD,
    SIDE,
    SUMMARY,
    ZOOM,
    read_summary,
    shard_path,
)
from visagist.amplify.report import write_report
from visagist.amplify.work import enough_disk, require_space
from visagist.corpus import engines
from visagist.corpus.blends.gate import Gate
from visagist.corpus.build.driver import first_difference, only_builder
from visagist.corpus.corpus import INDEX, Corpus
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.corpus.index import Record
from visagist.corpus.shards import encode_json
from visagist.corpus.task import Item
from visagist.errors import ConfigError, DataError, InputError
from visagist.photo.files import make_folder, write_atomically

Progress = Callable[[str, int, int], None]

WORK, STYLE, REPORT, SETTINGS = "work", "style", "report", "settings.json"
_CACHE = ("targets.npy", "targets.npy.part", "targets.json")  # of read_pairset
_OURS = {WORK, STYLE, f"{STYLE}.part", REPORT, SUMMARY, REJECTED, *_CACHE}
_LEFTOVER = ".visagist-*.tmp"  # of write_atomically, after a kill
_SAMPLE_BYTES = 130_000  # of one in a shard, generously


class AmplifyConfig(BaseModel):
    """What is drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(4000, description="samples that are drawn; gates reject some", ge=1)
    backend: str = Field(DEFAULT, description="what learns the style and paints it")
    strength: tuple[float, float] = Field(
        (0.7, 1.0), description="range of strengths; 1 is the style as the pairs wear it"
    )
    seeds: int | None = Field(
        None, description="most samples of one face; as many as the count needs by default", ge=1
    )
    seed: int = Field(0, description="another one gives other faces and samples", ge=0)
    gates: GateConfig = GateConfig()
    data: FeedConfig = FeedConfig(
        use="makeup",
        kinds=("photo", "generated"),
        grey=False,
        without_generators=("FLUX1_dev", "FLUX1_pro", "DALLE3"),
        size=SIDE,
        zoom=ZOOM,
    )

    @model_validator(mode="after")
    def _fits(self) -> AmplifyConfig:
        low, high = self.strength
        if not 0 < low <= high <= 2:
            raise ValueError(f"strength must be a range within 0..2, not {low}:{high}")
        if (self.data.size, self.data.zoom) != (SIDE, ZOOM):
            raise ValueError(f"data.size and data.zoom of a set of pairs are {SIDE} and {ZOOM}")
        return self


@dataclass(frozen=True)
class Amplified:
    """What an amplification came to.

    Attributes:
        folder: of the set.
        summary: contents of ``set.json``.
        fresh: False where it was there already and nothing was done.
        resumed: chunks that an earlier run had finished.
        seconds: that this run took, without fitting.
        per_second: samples a second of this run, rejected ones included; 0 where nothing was done.
    """

    folder: Path
    summary: dict[str, Any]
    fresh: bool
    resumed: int
    seconds: float
    per_second: float


def amplify(
    looks: Sequence[Look],
    faces: Sequence[Path],
    out: Path,
    config: AmplifyConfig,
    *,
    name: str = "style",
    embedder: Gate | None,
    style: Path | None = None,
    without: Collection[str] = (),
    engine: engines.Engine = "serial",
    workers: int | None = None,
    address: str | None = None,
    progress: Progress = lambda stage, done, of: None,
) -> Amplified:
    """Make a set of pairs, or go on with one where an earlier run was broken off.

    Args:
        looks: registered pairs.
        faces: folders of corpora; only their training people are used.
        out: folder of the set; empty, new, or one of an earlier run.
        config: what is drawn.
        name: of the style.
        embedder: for the gate of identity; must not be the one that evaluates the results.
        style: folder of a style that ``config.backend`` has fitted already; fitted here otherwise.
        without: people who are left out, for instance those of the pairs.
        engine: who runs the chunks: ``serial``, ``processes`` or ``ray``.
        workers: how many at once.
        address: of a Ray cluster.
        progress: called with a stage (``fit``, ``amplify``), what is done and all.

    Raises:
        InputError: no look, no corpus, there are too few faces, ``out`` holds something else, or
            another run is writing there.
        ConfigError: ``out`` holds a run with other settings; the message names the first.
        DataError: a corpus, a chunk or the summary of a finished set is damaged, or no face fits.
        PhotoWriteError: ``out`` cannot be made.
        DiskFullError: the disk is full; the same command goes on from what is finished.
    """
    if not looks:
        raise InputError("amplifying needs at least one look")
    drawn = draw_faces(faces, config, without=without)
    settings = _settings(looks, faces, config, name, embedder, style, without)
    make_folder(out)
    with enough_disk(out, "amplify"), only_builder(out):
        _claim(out)
        if (out / SUMMARY).exists():
            summary = read_summary(out)
            _refuse_other(out, summary.get("settings"), settings)
            shutil.rmtree(out / WORK, ignore_errors=True)  # a kill just before the end leaves it
            return Amplified(out, summary, fresh=False, resumed=0, seconds=0.0, per_second=0.0)
        work = out / WORK
        work.mkdir(exist_ok=True)
        _resume(out, work / SETTINGS, settings)
        fitted = _fit(looks, config, out, progress) if style is None else style
        embed = None if embedder is None else embedder.load()
        amplifier = Amplifier(
            backend=config.backend,
            style=fitted.resolve(),
            strength=config.strength,
            seed=config.seed,
            expected=expect(looks, embed, config.gates),
            gates=config.gates,
            embedder=embedder,
        )
        chunks = _chunks(drawn)
        todo = {n: items for n, items in enumerate(chunks) if not summary_path(work, n).exists()}
        samples = sum(item.payload.draws for items in todo.values() for item in items)
        require_space(out, samples * _SAMPLE_BYTES, f"{samples} samples")
        began = perf_counter()
        engines.run(
            engine,
            FaceTask(drawn, config.data, settings),
            todo,
            work,
            run_chunk=partial(amplify_chunk, amplifier=amplifier),
            workers=workers,
            address=address,
            shared=[*faces, fitted],
            progress=lambda done, of: progress("amplify", done, of),
        )
        seconds = perf_counter() - began
        speed = samples / seconds if samples else 0.0
        summary = _finish(out, len(chunks), settings, looks, speed)
    return Amplified(out, summary, True, len(chunks) - len(todo), seconds, speed)


def draw_faces(
    faces: Sequence[Path], config: AmplifyConfig, *, without: Collection[str] = ()
) -> list[FaceDraws]:
    """Which training faces of the corpora are made up, in which order, and how often.

    Raises:
        InputError: there is no corpus, or its faces do not suffice for the count.
        DataError: a corpus is missing or damaged, or no face fits.
    """
    if not faces:
        raise InputError("amplifying needs the faces of at least one corpus")
    found: dict[str, tuple[Path, Record]] = {}
    for folder in faces:
        corpus = Corpus.open(folder)
        # a picture may be in two corpora
        for record in select_faces(corpus, config.data, splits=("train",)):
            if record.origin.person not in without:
                found.setdefault(record.key, (folder.resolve(), record))
    if not found:
        raise DataError(f"{', '.join(map(str, faces))}: no training face is left to make up")
    order = np.random.default_rng(config.seed).permutation(len(found))
    listed = [list(found.values())[i] for i in order]
    whole, rest = divmod(config.count, len(listed))
    most = whole + bool(rest)
    if config.seeds is not None and most > config.seeds:
        raise InputError(
            f"{len(listed)} faces with {config.seeds} samples each do not make {config.count}; "
            f"give more faces, --seeds {most}, or a smaller count"
        )
    if most > SHARD:
        raise InputError(f"{len(listed)} faces are too few for {config.count} samples")
    draws = [whole + (i < rest) for i in range(len(listed))]
    return [
        FaceDraws(folder, record, n) for (folder, record), n in zip(listed, draws, strict=True) if n
    ]


def _chunks(drawn: Sequence[FaceDraws]) -> list[list[Item]]:
    size = max(1, SHARD // max(face.draws for face in drawn))
    items = [Item(face.record.key, face) for face in drawn]
    return [items[start : start + size] for start in range(0, len(items), size)]


def _fit(looks: Sequence[Look], config: AmplifyConfig, out: Path, progress: Progress) -> Path:
    """The style, fitted once."""
    folder = out / STYLE
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        say = partial(progress, "fit")
        backend = open_backend(config.backend, work=out / WORK / "fit")
        backend.fit(looks, seed=config.seed, progress=say).save(part)
        part.rename(folder)
    return folder


def _settings(  # noqa: PLR0917  (the arguments of amplify)
    looks: Sequence[Look],
    faces: Sequence[Path],
    config: AmplifyConfig,
    name: str,
    embedder: Gate | None,
    style: Path | None,
    without: Collection[str],
) -> dict[str, Any]:
    sha = hashlib.sha256()
    for look in looks:
        for part in (look.before, look.after, look.mesh, look.valid):
            sha.update(np.ascontiguousarray(part).tobytes())
    settings = {
        "version": __version__,
        "style": name,
        "amplify": config.model_dump(mode="json"),
        "looks": {"count": len(looks), "sha256": sha.hexdigest()},
        "faces": [_digest(folder / INDEX) for folder in faces],
        "without": sorted(without),
        "embedder": None if embedder is None else embedder.name,
        "fitted": None if style is None else _digest_folder(style),
    }
    return dict(json.loads(json.dumps(settings)))  # as it is read back: lists for tuples


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _digest_folder(folder: Path) -> str:
    """What a fitted style is, wherever it lies."""
    sha = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        sha.update(f"{path.relative_to(folder).as_posix()} {_digest(path)}\n".encode())
    return sha.hexdigest()


def _claim(out: Path) -> None:
    """Make sure that what lies in the folder is ours.

    Raises:
        InputError: something else lies there.
    """
    leftovers = list(out.glob(_LEFTOVER))
    ours = {path.name for path in (*leftovers, *out.glob("part-[0-9]*.tar"))} | _OURS
    other = sorted({path.name for path in out.iterdir()} - ours)
    if other:
        raise InputError(
            f"{out} holds {other[0]}, which is no part of a set of pairs; give an empty or a new "
            "folder"
        )
    for path in leftovers:
        path.unlink(missing_ok=True)


def _resume(out: Path, path: Path, settings: dict[str, Any]) -> None:
    """Compare with the settings of the run that is there, or write ours for the next one."""
    if not path.exists():
        shutil.rmtree(out / STYLE, ignore_errors=True)
        write_atomically(path, encode_json(settings), overwrite=True)
        return
    try:
        earlier = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); delete {out}, and begin again") from error
    _refuse_other(out, earlier, settings)


def _refuse_other(out: Path, there: Any, ours: dict[str, Any]) -> None:  # noqa: ANN401  (JSON)
    difference = first_difference(there, ours, "")
    if difference is not None:
        field, old, new = difference
        raise ConfigError(
            f"{out} was begun with {field or 'settings'} = {json.dumps(old)}, and now it is "
            f"{json.dumps(new)}; choose another folder, or delete this one"
        )


def _finish(
    out: Path, chunks: int, settings: dict[str, Any], looks: Sequence[Look], speed: float
) -> dict[str, Any]:
    """Move the shards to their place, write what was rejected, the report and the summary."""
    work = out / WORK
    found = [read_chunk(work, n) for n in range(chunks)]
    shards = []
    for n, chunk in enumerate(found):
        target = shard_path(out, n)
        if chunk["samples"]:
            if shard_path(work, n).exists():
                shard_path(work, n).replace(target)
            shards.append(target.name)
    rejected = [line for chunk in found for line in chunk["rejected"]]
    dropped = [line for chunk in found for line in chunk["dropped"]]
    lines = b"".join(encode_json(line) for line in [*rejected, *dropped])
    write_atomically(out / REJECTED, lines, overwrite=True)
    reasons = Counter(reason for line in rejected for reason in line["reasons"])
    summary = {
        "format": FORMAT,
        "style": settings["style"],
        "backend": settings["amplify"]["backend"],
        "side": SIDE,
        "zoom": ZOOM,
        "samples": sum(len(chunk["samples"]) for chunk in found),
        "rejected": len(rejected),
        "dropped": len(dropped),
        "reasons": dict(sorted(reasons.items())),
        "faces": len({key.rpartition("-")[0] for chunk in found for key in chunk["samples"]}),
        "pairs": len(looks),
        "shards": shards,
        "settings": settings,
    }
    worker_seconds = sum(chunk["seconds"] for chunk in found)
    write_report(out / REPORT, summary, found, speed=speed, worker_seconds=worker_seconds)
    write_atomically(out / SUMMARY, encode_json(summary), overwrite=True)
    shutil.rmtree(work, ignore_errors=True)
    return summary
