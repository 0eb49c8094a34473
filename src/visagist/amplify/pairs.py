"""Before/after pairs in the ways people keep them, found and registered.

* a CSV with the columns ``before`` and ``after`` (and ``name``), or a folder with a ``pairs.csv``;
* two folders ``before`` and ``after`` with equal names in them;
* ``NAME_before.jpg`` and ``NAME_after.jpg`` beside each other, or a folder for each pair.

What belongs to no pair is reported and left out, and so is a pair that cannot be used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from visagist.amplify.backend import Look
from visagist.amplify.register import Registration, register_pair
from visagist.errors import (
    DataError,
    FaceError,
    InputError,
    MissingExtraError,
    PairError,
    PhotoError,
    VisagistError,
)
from visagist.photo import Photo
from visagist.photo.formats import SUFFIXES

CSV = "pairs.csv"
FEW, MANY = 5, 50
"""Pairs that the method is made for, and from which more hardly help."""
_BEFORE = frozenset({"before", "bare", "original", "source", "input", "without", "nomakeup"})
_AFTER = frozenset({"after", "makeup", "madeup", "made", "edited", "target", "output", "with"})
_SAME = 2.0  # levels, mean over small views of both pictures: the same pair again
_THUMB = 48


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where the two photos of a pair lie."""

    name: str
    before: Path
    after: Path


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or a pair that was not used.

    Attributes:
        name: of the file or the pair.
        reason: a short word that can be counted.
        message: the sentence for people.
    """

    name: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, ready to be learned from.

    Attributes:
        registrations: one a pair.
        left_out: files and pairs that were not used.
        warnings: a sentence for each thing a person should know.
    """

    registrations: tuple[Registration, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]

    @property
    def looks(self) -> tuple[Look, ...]:
        """What a backend learns from."""
        return tuple(one.look for one in self.registrations)


def find_pairs(source: Path) -> tuple[list[PairFiles], list[LeftOut]]:
    """The pairs of a folder or a CSV, by name, and what belongs to none.

    Raises:
        InputError: there is nothing, or nothing that makes a pair.
        DataError: the folder or the CSV cannot be read, or a column is missing.
    """
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    if source.is_file():
        if source.suffix.lower() != ".csv":
            raise InputError(f"{source}: give the folder of the pairs, or a CSV that lists them")
        pairs, strays = _listed(source), list[LeftOut]()
    elif (source / CSV).is_file():
        pairs, strays = _listed(source / CSV), []
    else:
        try:
            pairs, strays = _in_folder(source)
        except OSError as error:
            raise DataError(f"{source}: cannot be read ({error})") from error
    if not pairs:
        raise InputError(
            f"{source} holds no pair: put the photos into two folders `before` and `after` under "
            f"equal names, or name them NAME_before.jpg and NAME_after.jpg, or list them in {CSV}"
        )
    return sorted(pairs, key=lambda pair: pair.name), strays


def load_pairs(
    source: Path,
    *,
    register: Callable[..., Registration] = register_pair,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pairs:
    """Find, open and register the pairs of a folder or a CSV.

    Args:
        source: folder or CSV.
        register: lays the photos of a pair over each other.
        progress: called with pairs done and in all.

    Raises:
        InputError: there is no pair at all.
        PairError: the only pair cannot be used.
        DataError: none of several can; the message says why for each. Or the CSV is damaged.
    """
    files, left_out = find_pairs(source)
    kept: list[Registration] = []
    failures: list[VisagistError] = []
    for done, pair in enumerate(files, 1):
        try:
            found = register(_open(pair.before), _open(pair.after), name=pair.name)
        # HEIC without its extra is one photo's fault, not the folder's
        except (PhotoError, PairError, FaceError, MissingExtraError) as error:
            failures.append(error)
            reason = error.reason if isinstance(error, PairError) else "unreadable"
            left_out.append(LeftOut(pair.name, reason, str(error)))
        else:
            twin = next((one for one in kept if _is_same(one.look, found.look)), None)
            if twin is None:
                kept.append(found)
            else:
                text = f"{pair.name} is the same pair as {twin.look.name}; it counts once"
                left_out.append(LeftOut(pair.name, "duplicate", text))
        progress(done, len(files))
    if not kept:
        if len(failures) == 1:
            raise failures[0]
        raise DataError(f"{source}: no pair can be used. " + "; ".join(map(str, failures)))
    return Pairs(tuple(kept), tuple(left_out), _advice(kept, left_out))


def _advice(kept: Sequence[Registration], left_out: Iterable[LeftOut]) -> tuple[str, ...]:
    notes = []
    if len(kept) < FEW:
        pairs = "one pair" if len(kept) == 1 else f"{len(kept)} pairs"
        notes.append(
            f"{pairs}: a style can be learned, but what these faces do not show (open mouths, "
            f"closed eyes, other skin and light) it must guess; {FEW} varied pairs do much "
            f"better, {MANY} better still"
        )
    if doubles := sum(one.reason == "duplicate" for one in left_out):
        notes.append(f"{doubles} pairs repeat another one and count once")
    for one in kept:
        notes += [f"{one.look.name}: {text}" for text in one.report.warnings]
    return tuple(notes)


def _open(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The pixels of a photo; errors name the file."""
    try:
        return Photo.open(path).pixels
    except PhotoError as error:
        text = str(error)
        raise error if str(path) in text else type(error)(f"{path}: {text}") from error


def _is_same(one: Look, other: Look) -> bool:
    def small(look: Look) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        both = np.concatenate([look.before, look.after], axis=1)
        size = (2 * _THUMB, _THUMB)
        return cv2.resize(both, size, interpolation=cv2.INTER_AREA).astype(np.float32)

    return float(np.abs(small(one) - small(other)).mean()) < _SAME


def _listed(path: Path) -> list[PairFiles]:
    """The pairs of a CSV; paths are relative to it.

    Raises:
        DataError: it cannot be read, a column is missing, or a row is not whole.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    found = []
    for number, row in enumerate(rows, 2):
        before, after = row.get("before"), row.get("after")
        if not before or not after:
            raise DataError(f"{path}: line {number} has no `before` and `after`")
        name = row.get("name") or Path(before).stem
        found.append(PairFiles(name, path.parent / before, path.parent / after))
    return found


def _in_folder(folder: Path) -> tuple[list[PairFiles], list[LeftOut]]:
    """Pairs beside each other, in two folders, or in a folder each; and what is in none."""
    seen = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    inner = [p for p in seen if p.is_dir()]
    photos, strays = _photos([p for p in seen if p.is_file()])
    sides = [(side, p) for p in inner if (side := _read_name(p.name)[0]) is not None]
    if sorted(side for side, _ in sides) == ["after", "before"]:
        pairs, rest = _two_folders(dict(sides))
        besides = [*photos, *(p for p in inner if p not in dict(sides).values())]
        text = "lies beside the folders of the photos before and after"
        return pairs, strays + rest + [
            LeftOut(p.name, "stray", f"{p.name} {text}") for p in besides
        ]
    named = []
    for path in photos:
        side, name = _read_name(path.stem)
        if side is None:
            text = f"{path.name}: its name says neither before nor after"
            strays.append(LeftOut(path.name, "stray", text))
        else:
            named.append((side, name or folder.name, path))
    pairs, lonely = _paired(named)
    strays += lonely
    for sub in inner:
        try:
            more, rest = _in_folder(sub)
        except OSError as error:
            text = f"{sub.name}: cannot be read ({error.strerror})"
            strays.append(LeftOut(sub.name, "unreadable", text))
            continue
        strays += rest
        for pair in more:
            name = pair.name if pair.name == sub.name.casefold() else f"{sub.name}/{pair.name}"
            pairs.append(PairFiles(name, pair.before, pair.after))
    return pairs, strays


def _two_folders(sides: Mapping[str, Path]) -> tuple[list[PairFiles], list[LeftOut]]:
    """Equal names in a folder before and a folder after; names may also end in the word."""
    named, strays = list[tuple[str, str, Path]](), list[LeftOut]()
    for side, folder in sides.items():
        seen = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
        photos, others = _photos(seen)
        strays += others
        for path in photos:
            word, name = _read_name(path.stem)
            named.append((side, name if word == side and name else path.stem, path))
    pairs, lonely = _paired(named)
    return pairs, strays + lonely


def _photos(files: Iterable[Path]) -> tuple[list[Path], list[LeftOut]]:
    photos, others = list[Path](), list[LeftOut]()
    for path in files:
        if path.suffix.lower() in SUFFIXES:
            photos.append(path)
        else:
            others.append(LeftOut(path.name, "stray", f"{path.name} is no photo"))
    return photos, others


def _paired(named: Iterable[tuple[str, str, Path]]) -> tuple[list[PairFiles], list[LeftOut]]:
    groups: dict[str, dict[str, list[Path]]] = {}
    for side, name, path in named:
        groups.setdefault(name.casefold(), {"before": [], "after": []})[side].append(path)
    pairs, strays = [], []
    for name, sides in groups.items():
        before, after = sides["before"], sides["after"]
        if len(before) == len(after) == 1:
            pairs.append(PairFiles(name, before[0], after[0]))
            continue
        crowded = max(len(before), len(after)) > 1
        why = "several photos have this name" if crowded else "its other half is missing"
        reason = "ambiguous" if crowded else "single"
        strays += [LeftOut(p.name, reason, f"{p.name}: {why}") for p in (*before, *after)]
    return pairs, strays


def _read_name(stem: str) -> tuple[str | None, str]:
    """Side and name of a file: ``anna_before``, ``before-anna`` and the like."""
    words = re.findall(r"[^\s_\-.()\[\]]+", stem.lower())
    for place in (-1, 0):
        side = _side_word(words[place]) if words else None
        if side is not None:
            rest = words[:-1] if place == -1 else words[1:]
            return side, "-".join(rest)
    return None, stem


def _side_word(word: str) -> str | None:
    if word in _BEFORE:
        return "before"
    return "after" if word in _AFTER else None
