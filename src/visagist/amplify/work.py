"""Long work in stages that can be stopped anywhere: a folder that remembers what is done.

``work.json`` holds what the work is about, and for each stage the seconds it took, over however
many starts, and its result once it is finished. A stage that was stopped is run again and finds its
own half-done files in the folder.
"""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from visagist.corpus.build.driver import only_builder
from visagist.errors import DataError, DiskFullError, InputError, VisagistError
from visagist.photo.files import write_atomically

NOTE = "work.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SPARE = 8 << 20
"""Bytes below which a failed write is put down to the disk."""


class Work:
    """A folder of stages.

    Args:
        folder: is made where it is missing.
        about: what the work is about, for JSON; a folder of other work is refused.

    Raises:
        InputError: the folder holds other work; the message names what differs.
        DataError: its note is damaged, or the folder cannot be written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self._note = folder / NOTE
        self._data: dict[str, Any] = {"about": dict(about), "stages": {}}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._note.is_file():
                if any(folder.iterdir()):  # and in the end the folder is deleted
                    raise InputError(f"{folder} holds something else; give an empty folder")
                self._write()
                return
            stored = json.loads(self._note.read_text(encoding="utf-8"))
            before, stages = stored["about"], dict(stored["stages"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._note}: cannot be used ({error}); start anew") from error
        now = json.loads(json.dumps(about))
        if other := sorted(k for k in {*before, *now} if before.get(k) != now.get(k)):
            raise InputError(
                f"{folder} holds unfinished work with another {', '.join(other)}; go on with that, "
                "give another folder, or start anew"
            )
        self._data["stages"] = stages

    def result(self, stage: str) -> dict[str, Any] | None:
        """What a finished stage left; nothing while it is not finished."""
        found: dict[str, Any] | None = self._data["stages"].get(stage, {}).get("result")
        return found

    def seconds(self, stage: str) -> float:
        """Time spent on a stage so far."""
        return float(self._data["stages"].get(stage, {}).get("seconds", 0.0))

    @property
    def total_seconds(self) -> float:
        """Time spent on all stages so far."""
        return sum(self.seconds(stage) for stage in self._data["stages"])

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Run a stage: its result is what the caller puts into the dictionary.

        Whatever stops it, the time it took is remembered; only at its end is it done.

        Raises:
            DiskFullError: the disk is full; everything that was finished is kept.
        """
        result: dict[str, Any] = {}
        began, before = time.perf_counter(), self.seconds(name)
        entry = self._data["stages"].setdefault(name, {})

        def spent() -> float:
            return round(before + time.perf_counter() - began, 2)

        with enough_disk(self.folder, name):
            try:
                yield result
            except BaseException:
                entry["seconds"] = spent()
                with suppress(VisagistError):  # the first error says more than this one
                    self._write()
                raise
            entry |= {"seconds": spent(), "result": result}
            self._write()

    def _write(self) -> None:
        text = json.dumps(self._data, indent=2) + "\n"
        write_atomically(self._note, text.encode(), overwrite=True)


def clear(folder: Path) -> None:
    """Delete the folder of some work; nothing happens where there is none.

    Raises:
        InputError: it is a folder of something else, or work is going on in it.
    """
    if not folder.exists():
        return
    if not (folder / NOTE).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} has no {NOTE}, so it is not deleted; choose another folder")
    with only_builder(folder):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def enough_disk(folder: Path, what: str) -> Iterator[None]:
    """Turn a write that failed for want of room into an error that says what to do.

    Raises:
        DiskFullError: it did.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError, VisagistError) as error:
        if isinstance(error, DiskFullError) or not _disk_is_full(error, folder):
            raise
        raise DiskFullError(
            f"{folder}: the disk is full, during: {what}; make room and give the same command "
            "again, it goes on from here"
        ) from error


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what will not fit.

    Args:
        folder: that exists.
        needed: bytes.
        what: they are for.

    Raises:
        DiskFullError: there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"{folder}: {what} needs {needed / 2**30:.1f} GB and {free / 2**30:.1f} GB are free; "
            "make room or give another folder"
        )


def _disk_is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or one that it was raised from, is about room on the disk.

    Libraries that write by themselves (safetensors, numpy) do not always say so by a number.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        if "No space left" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    writing = isinstance(error, OSError)
    return writing and folder.is_dir() and shutil.disk_usage(folder).free < _SPARE
