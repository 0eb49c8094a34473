"""Pairs of pictures in a CSV file: before and after, or two pictures and whether one person.

The file is the path itself, or ``pairs.csv`` in the folder. Its first row names the columns; the
pictures' paths are relative to the file::

    before,after[,identity][,split][,licence]             one person, unlike in one thing (makeup)
    first,second,same[,identity][,split][,licence]        same is 1 or 0

Without ``identity`` the pictures that pairs join count as one person. Each picture is listed once;
its facts name its partners. A broken row costs one line of the report, with its number.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from visagist.corpus.sample import SPLITS
from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import posix, printable
from visagist.corpus.sources.tables import read_header, read_rows
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import is_picture, subfolders
from visagist.errors import DataError

NAME = "pairs.csv"
COLUMNS = (("before", "after"), ("first", "second", "same"))
TERMS = Terms(
    title="Your own pairs",
    page="",
    licence="",
    commercial="ask",
    note="Whatever you have agreed with the people pictured and with the photographers.",
    identity="The column `identity`; without it, pictures joined by pairs are one person.",
    provenance="The path of the file; licence and split where the columns are there.",
)


def recognise(root: Path, names: Sequence[str]) -> str:
    """A CSV file, or a folder with pairs.csv; either with the columns of pairs."""
    path = _file(root)
    if not path.is_file() or path.suffix.lower() != ".csv":
        return ""
    try:
        columns = read_header(path, without="there are no pairs")
    except DataError:
        return NAME if path.name == NAME else ""
    return path.name if any(columns.issuperset(needed) for needed in COLUMNS) else ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture of the pairs, in the order of its first row.

    Raises:
        DataError: the file is missing or has neither set of columns.
    """
    path = _file(root)
    subfolders(path.parent, folders)
    pairs = _Pairs()
    bad: list[tuple[int, str]] = []
    for line, row in read_rows(path, required=_columns(path), without="there are no pairs"):
        if reason := row if isinstance(row, str) else pairs.take(line, row):
            bad.append((line, reason))
    for line, reason in sorted(bad + pairs.contradictions()):
        name = f"{path.name}:{line}"
        yield Picture(name, name, problem=("bad_row", f"{name}: {reason}"))
    wanted = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    for picture in pairs.pictures():
        if not wanted or picture.name.startswith(wanted):
            yield picture


def _file(root: Path) -> Path:
    return root / NAME if root.is_dir() else root


def _columns(path: Path) -> tuple[str, ...]:
    """The set of columns that the file has.

    Raises:
        DataError: it has neither.
    """
    names = read_header(path, without="there are no pairs")
    for columns in COLUMNS:
        if names.issuperset(columns):
            return columns
    needed = " or ".join(",".join(columns) for columns in COLUMNS)
    raise DataError(f"{printable(str(path))}: columns {needed} are missing")


def _inside(text: str) -> str:
    """The normalised relative path, empty where it leaves the folder or is no picture."""
    path = os.path.normpath(text)
    leaves = path.startswith("..") or Path(path).is_absolute()
    return "" if leaves or not is_picture(Path(path).name) else path


def _refusal(row: Mapping[str, str], paths: Sequence[str]) -> str:
    """Why a row cannot be used by itself, or ""."""
    if not all(paths):
        return "a path leaves the folder of the file, or is no picture"
    if paths[0] == paths[1]:
        return "a picture is paired with itself"
    if row.get("same", "1") not in {"0", "1"}:
        return f"same is {row['same']!r}, not 0 or 1"
    if row.get("split") and row["split"] not in SPLITS:
        return f"split {row['split']!r} is none of {', '.join(SPLITS)}"
    return ""


class _Pairs:
    """What the rows say, by picture and by person (pictures that rows join: union-find)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}  # path -> another of the same person, or itself
        self._order: dict[str, int] = {}
        self._facts: dict[str, list[dict[str, object]]] = {}
        self._licence: dict[str, str] = {}
        self._said: list[tuple[int, str, str, str]] = []  # line, path, identity, split
        self._unlike: list[tuple[int, str, str]] = []

    def take(self, line: int, row: Mapping[str, str]) -> str:
        """Enter one row; the reason why it cannot be, or ""."""
        roles = COLUMNS[0] if "before" in row else COLUMNS[1][:2]
        paths = [_inside(row[role]) for role in roles]
        if reason := _refusal(row, paths):
            return reason
        same = row.get("same", "1") == "1"
        for role, path, other in zip(roles, paths, reversed(paths), strict=True):
            self._above.setdefault(path, path)
            self._order.setdefault(path, len(self._order))
            self._licence[path] = self._licence.get(path) or row.get("licence", "")
            fact = {"line": line, "role": role, "partner": posix(other), "same": same}
            self._facts.setdefault(path, []).append(fact)
            identity = row.get("identity", "") if same else ""
            self._said.append((line, path, identity, row.get("split", "")))
        if same:
            first, second = sorted(map(self._person, paths), key=self._order.__getitem__)
            self._above[second] = first
        else:
            self._unlike.append((line, paths[0], paths[1]))
        return ""

    def contradictions(self) -> list[tuple[int, str]]:
        """Rows that call two people what other rows join."""
        return [
            (line, "two people here, one person by other rows")
            for line, a, b in self._unlike
            if self._person(a) == self._person(b)
        ]

    def pictures(self) -> Iterator[Picture]:
        """Every picture once, in the order of its first row.

        A person with two names or two splits is left out: it could end up in two splits.
        """
        identities: dict[str, set[str]] = {}
        splits: dict[str, set[str]] = {}
        for _, path, identity, split in self._said:
            person = self._person(path)
            identities.setdefault(person, set()).update({identity} - {""})
            splits.setdefault(person, set()).update({split} - {""})
        sizes = Counter(map(self._person, self._above))
        for path, facts in self._facts.items():
            person = self._person(path)
            names, parts = sorted(identities[person]), sorted(splits[person])
            problem = None
            if len(names) > 1 or len(parts) > 1:
                detail = f"{posix(path)}: its rows give one person {' and '.join(names + parts)}"
                problem = ("bad_row", detail)
            unnamed = posix(person) if sizes[person] > 1 else ""
            yield Picture(
                posix(path),
                path,
                identity=names[0] if names else unnamed,
                split=parts[0] if parts else "",
                licence=self._licence[path],
                facts={"pairs": facts},
                problem=problem,
            )

    def _person(self, path: str) -> str:
        while self._above[path] != path:
            self._above[path] = self._above[self._above[path]]
            path = self._above[path]
        return path


LAYOUT = Layout("pairs", TERMS, recognise, read)
