"""Who is enrolled, who searches, and who is a stranger: fixed lists, one for each split.

``lists/SPLIT.csv`` has a row for every picture::

    set,identity,role,file      role = enrolled, mate or stranger; file = FOLDER/NAME of the tree

``lists/SPLIT_halves.csv`` has a row for every enrolled person::

    identity,halves             halves = one digit a random half-split: 1 enrolled, 0 stranger

Every half-split takes half of every set, so that it is a half-split of a single set as well. The
lists hold file names and identity strings of the data tree, nothing else;
``benchmarks/recognition_lists.py`` wrote them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError, InputError

ROLES = ("enrolled", "mate", "stranger")
SPLITS = ("test", "validation")
_JOINED = {"pairs": ("pairs", "pairs_train"), "pairs_unseen": ("pairs",)}
"""Reported names that are not simply one set, where the list has both sets."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a list.

    Attributes:
        set: what it belongs to, such as ``london``.
        identity: the person.
        role: enrolled, mate (a search of an enrolled person) or stranger (a search of nobody
            enrolled).
        file: ``FOLDER/NAME``.
    """

    set: str
    identity: str
    role: str
    file: str


@dataclass(frozen=True, slots=True)
class EvaluationList:
    """The list of a split.

    Attributes:
        entries: the pictures, in the order of the file.
        halves: identity -> (splits,) whether the person is enrolled in each half-split.
    """

    entries: tuple[Entry, ...]
    halves: dict[str, NDArray[np.bool_]]

    def pictures(self, role: str, sets: Iterable[str] | None = None) -> list[Entry]:
        """The pictures of one role, of some sets or of all."""
        wanted = None if sets is None else set(sets)
        return [e for e in self.entries if e.role == role and (wanted is None or e.set in wanted)]

    def unions(self) -> dict[str, tuple[str, ...]]:
        """What is reported: a name, and the sets it is made of; ``both`` is all of them."""
        sets = tuple(dict.fromkeys(e.set for e in self.pictures("enrolled")))
        named: dict[str, tuple[str, ...]] = {name: (name,) for name in sets}
        if set(_JOINED["pairs"]) <= set(sets):
            named = {name: _JOINED.get(name, (name,)) for name in sets if name != "pairs_train"}
            named["pairs_unseen"] = _JOINED["pairs_unseen"]
        return named | {"both": sets}


def read_list(split: str, folder: Path | None = None) -> EvaluationList:
    """The fixed list of a split.

    Args:
        split: test or validation; of an own folder any name.
        folder: where the lists are; those of the package when ``None``.

    Raises:
        InputError: there is none for this split.
        DataError: the list cannot be read, or contradicts itself.
    """
    if folder is None and split not in SPLITS:
        raise InputError(f"there are lists for {' and '.join(SPLITS)}, none for {split!r}")
    where = files("visagist.recognition.evaluation") / "lists" if folder is None else folder
    try:
        entries = tuple(Entry(**row) for row in _rows(where / f"{split}.csv"))
        halves = {
            row["identity"]: np.array([digit == "1" for digit in row["halves"]])
            for row in _rows(where / f"{split}_halves.csv")
        }
    except OSError as error:
        raise DataError(f"{where}: no list for {split} ({error.strerror})") from error
    except (TypeError, KeyError) as error:
        raise DataError(f"{where}: the list for {split} has other columns ({error})") from error
    found = EvaluationList(entries, halves)
    check_list(found)
    return found


def check_list(found: EvaluationList) -> None:
    """Refuse a list that would count something wrongly.

    Raises:
        DataError: a picture is listed twice, a mate is not enrolled, a stranger is, somebody is in
            two sets, or the half-splits do not fit the enrolled people.
    """
    names = [e.file for e in found.entries]
    if len(set(names)) != len(names):
        raise DataError("a picture is listed twice")
    enrolled = {e.identity for e in found.pictures("enrolled")}
    if any(e.identity not in enrolled for e in found.pictures("mate")):
        raise DataError("a mate is listed who is not enrolled")
    if any(e.identity in enrolled for e in found.pictures("stranger")):
        raise DataError("a stranger is listed who is enrolled")
    if any(e.role not in ROLES for e in found.entries):
        raise DataError(f"a picture has a role that is none of {', '.join(ROLES)}")
    homes: dict[str, str] = {}
    if any(homes.setdefault(e.identity, e.set) != e.set for e in found.entries):
        raise DataError("a person is listed in two sets")
    if set(found.halves) != enrolled or len({len(h) for h in found.halves.values()}) > 1:
        raise DataError("the half-splits are not those of the enrolled people")


def _rows(path: Traversable | Path) -> Iterator[dict[str, str]]:
    with path.open("r", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)
