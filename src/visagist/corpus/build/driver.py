"""Runs a build: claims the folder, lists, runs the chunks that are not done, finishes."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from visagist import __version__
from visagist.corpus import engines
from visagist.corpus.build.chunk import run_chunk, summary_path
from visagist.corpus.build.config import BuildConfig
from visagist.corpus.build.finish import Progress, finish
from visagist.corpus.build.listing import PREFIX, Listing
from visagist.corpus.corpus import INDEX, REPORT, SHARDS, SUMMARY, Corpus
from visagist.corpus.shards import encode_json
from visagist.corpus.task import CorpusTask
from visagist.errors import ConfigError, DataError, InputError, PhotoWriteError
from visagist.photo.files import write_atomically

WORK, SETTINGS = "work", "settings.json"
_OURS = {SUMMARY, INDEX, REPORT, SHARDS, WORK}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Built:
    """What a build came to.

    Attributes:
        corpus: the finished corpus.
        fresh: False where it was there already and nothing was done.
        resumed: chunks that an earlier, broken run had finished.
        seconds: that this run took.
    """

    corpus: Corpus
    fresh: bool
    resumed: int
    seconds: float


def build(
    task: CorpusTask,
    out: Path,
    config: BuildConfig,
    *,
    engine: engines.Engine = "serial",
    workers: int | None = None,
    address: str | None = None,
    shared: Sequence[Path] = (),
    overwrite: bool = False,
    progress: Progress = lambda stage, done, of: None,
) -> Built:
    """Make the corpus of a task, or go on with it where an earlier run was broken off.

    Equal tasks and configs give equal bytes, whatever the engine and the number of workers, and
    however often the build was killed on the way.

    Args:
        task: what makes the samples.
        out: folder of the corpus; empty, new, or one of an earlier run.
        config: how samples are written.
        engine: who runs the chunks: ``serial``, ``processes`` or ``ray``.
        workers: how many at once; one a core by default.
        address: of a Ray cluster.
        shared: for Ray: what every machine must see.
        overwrite: delete the corpus or the broken run that lies in ``out``.
        progress: called with a stage (``prepare``, ``compare``, ``write``), what is done and all.

    Raises:
        ConfigError: ``out`` holds a corpus or a run with other settings; the message names the
            first that differs.
        InputError: ``out`` holds something else, or another build is writing there.
        DataError: the sources have changed since, a source is empty, an identity has two splits,
            a chunk is damaged, or the disk is full.
    """
    began = perf_counter()
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with only_builder(out):
            _claim(out, overwrite=overwrite)
            with Listing(task.items(), config.chunk, out) as listing:
                corpus, resumed = _build(
                    task,
                    out,
                    config,
                    listing,
                    partial(
                        engines.run,
                        engine,
                        task,
                        workers=workers,
                        address=address,
                        shared=shared,
                    ),
                    progress,
                )
    fresh = resumed is not None
    return Built(corpus, fresh, resumed or 0, perf_counter() - began)


def _build(  # noqa: PLR0917  (the parts of build)
    task: CorpusTask,
    out: Path,
    config: BuildConfig,
    listing: Listing,
    run: Any,  # noqa: ANN401  (engines.run with its first arguments)
    progress: Progress,
) -> tuple[Corpus, int | None]:
    """The corpus, and how many chunks were there already; None where all of it was."""
    settings: dict[str, Any] = {
        "version": __version__,
        "settings": {"task": task.describe(), "build": config.model_dump(mode="json")},
        "items": {"count": listing.count, "sha256": listing.digest},
    }
    settings = json.loads(json.dumps(settings))  # as it is read back: lists for tuples
    if (out / SUMMARY).exists():
        corpus = Corpus.open(out)
        _refuse_other(out, corpus.summary, settings, ("settings", "items"))
        shutil.rmtree(out / WORK, ignore_errors=True)  # a kill just before the end leaves it
        return corpus, None
    work = out / WORK
    work.mkdir(exist_ok=True)
    _resume(out, work / SETTINGS, settings)
    todo = [n for n in range(listing.chunks) if not summary_path(work, n).exists()]
    run_one = partial(run_chunk, picture=config.picture, quality=config.quality)
    run(
        listing.pending(todo),
        work,
        run_chunk=run_one,
        progress=lambda done, of: progress("prepare", done, of),
    )
    finish(out, work, listing.chunks, settings=settings, config=config, say=progress)
    shutil.rmtree(work)
    return Corpus.open(out), listing.chunks - len(todo)


def _resume(out: Path, path: Path, settings: dict[str, Any]) -> None:
    """Compare with the settings of the run that is there, or write ours for the next one."""
    if not path.exists():
        write_atomically(path, encode_json(settings), overwrite=True)
        return
    try:
        earlier = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); begin again with --overwrite") from error
    _refuse_other(out, earlier, settings, ("version", "settings", "items"))


def _refuse_other(
    out: Path, there: Mapping[str, Any], ours: Mapping[str, Any], fields: Sequence[str]
) -> None:
    for field in fields:
        difference = first_difference(there.get(field), ours[field], "")
        if difference is None:
            continue
        name, old, new = difference
        if field == "items":
            before, now = there[field]["count"], ours[field]["count"]
            what = f"{before} items then, {now} now" if before != now else "other names"
            raise DataError(
                f"{out}: the sources have changed since this corpus was begun ({what}); choose "
                "another folder, or begin again with --overwrite"
            )
        name = name or field
        raise ConfigError(
            f"{out} was begun with {name} = {json.dumps(old)}, and now it is {json.dumps(new)}; "
            "choose another folder, or begin again with --overwrite"
        )


def first_difference(one: Any, other: Any, name: str) -> tuple[str, Any, Any] | None:  # noqa: ANN401
    """Name and both values of the first field in which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{name}.{key}" if name else key
            found = first_difference(one.get(key), other.get(key), inner)
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            found = first_difference(a, b, f"{name}.{number}")
            if found is not None:
                return found
        return None
    return None if one == other else (name, one, other)


def _claim(out: Path, *, overwrite: bool) -> None:
    """Make sure that what lies in the folder is ours; delete it where that is asked for."""
    for path in out.glob(f"{PREFIX}*"):  # a kill leaves it where files cannot be nameless
        path.unlink(missing_ok=True)
    other = sorted({path.name for path in out.iterdir()} - _OURS)
    if other:
        raise InputError(
            f"{out} holds {other[0]}, which is no part of a corpus; give an empty or a new folder"
        )
    if overwrite:
        (out / SUMMARY).unlink(missing_ok=True)  # first, so that no half corpus looks whole
        for name in _OURS - {SUMMARY}:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def only_builder(out: Path) -> Iterator[None]:
    """Refuse a second build in one folder, where the system has locks that die with a process."""
    try:
        import fcntl  # noqa: PLC0415  (not on Windows)
    except ImportError:
        yield
        return
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another build is writing to {out}; wait for its end") from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """A full disk, in this process or in a worker, ends in one line that says how to go on."""
    try:
        yield
    except PhotoWriteError as error:
        raise DataError(f"{error} {_GO_ON}") from error
    except OSError as error:
        if error.errno in _FULL:
            raise DataError(f"{out}: {error.strerror}; free some space. {_GO_ON}") from error
        raise DataError(f"{error.filename or out}: {error.strerror or error}") from error


_GO_ON = "The same command goes on from the chunks that are finished."
