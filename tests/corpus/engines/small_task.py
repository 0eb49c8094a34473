"""A task without faces and the smallest honest way to write a chunk, to test engines on."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visagist.corpus.task import CorpusTask, Item, SkippedItemError


@dataclass(frozen=True)
class DigestTask:
    """Hashes the item's number; some items misbehave.

    Attributes:
        count: of items.
        marks: a folder in which "once" is remembered.
        dies: item -> how often its process is killed (-1: always).
        faults: item -> how often the disk fails before it works.
        skipped: items that yield nothing.
        breaks: items that meet an error nobody expects.
    """

    count: int
    marks: Path
    dies: dict[int, int] = field(default_factory=dict)
    faults: dict[int, int] = field(default_factory=dict)
    skipped: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()

    def items(self) -> Iterable[Item]:
        return [Item(f"{number:04d}", number) for number in range(self.count)]

    def describe(self) -> dict[str, object]:
        return {"count": self.count}

    def prepare(self, item: Item) -> list:
        number = item.payload
        if self._still("die", number, self.dies.get(number, 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._still("fault", number, self.faults.get(number, 0)):
            raise OSError(errno.EIO, "Input/output error")
        if number in self.skipped:
            raise SkippedItemError("no_face", "there is none")
        if number in self.breaks:
            raise ZeroDivisionError(f"item {number}")
        return [hashlib.sha256(item.key.encode()).hexdigest()]

    def _still(self, what: str, number: int, times: int) -> bool:
        """Whether this has happened fewer than ``times`` times, over all processes."""
        if times < 0:
            return True
        for k in range(times):
            try:
                (self.marks / f"{what}-{number}-{k}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False


def write_chunk(task: CorpusTask, number: int, items: Sequence[Item], folder: Path) -> None:
    """One JSON file, by temporary name and rename."""
    document: dict[str, list] = {"samples": [], "report": []}
    for item in items:
        try:
            document["samples"] += task.prepare(item)
        except SkippedItemError as error:
            document["report"].append([item.key, error.reason, error.detail])
    temporary = folder / f"chunk-{number:05d}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(document))
    temporary.replace(folder / f"chunk-{number:05d}.json")


def chunked(task: CorpusTask, size: int) -> dict[int, list[Item]]:
    items = list(task.items())
    return {k: items[start : start + size] for k, start in enumerate(range(0, len(items), size))}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in the folder and below."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".tmp"
    }
