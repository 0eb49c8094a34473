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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visagist.corpus.sample import SPLITS
from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import posix, printable
from visagist.corpus.sources.tables import read_header, read_rows
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import is_picture
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


@dataclass(slots=True)
class _Entry:
    """What the rows say about one picture."""

    path: str
    fields: dict[str, str] = field(default_factory=dict)
    pairs: list[dict[str, object]] = field(default_factory=list)


def recognise(root: Path) -> str:
    """A CSV file, or a folder with pairs.csv; either with the columns of pairs."""
    path = _file(root)
    if not path.is_file() or path.suffix.lower() != ".csv":
        return ""
    try:
        names = read_header(path, without="there are no pairs")
    except DataError:
        return NAME if path.name == NAME else ""
    return path.name if any(names.issuperset(columns) for columns in COLUMNS) else ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture of the pairs, in the order of its first row.

    Raises:
        DataError: the file is missing or has neither set of columns.
    """
    path = _file(root)
    entries: dict[str, _Entry] = {}
    people = _People()
    for line, row in read_rows(path, required=_columns(path), without="there are no pairs"):
        reason = row if isinstance(row, str) else _take(line, row, entries, people)
        if reason:
            name = f"{path.name}:{line}"
            yield Picture(name, name, problem=("bad_row", f"{name}: {reason}"))
    wanted = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    for name, entry in entries.items():
        if not wanted or name.startswith(wanted):
            yield Picture(
                name,
                entry.path,
                identity=entry.fields.get("identity") or people.of(name),
                split=entry.fields.get("split", ""),
                licence=entry.fields.get("licence", ""),
                facts={"pairs": entry.pairs},
            )


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


def _take(line: int, row: Mapping[str, str], entries: dict[str, _Entry], people: _People) -> str:
    """Enter one row; the reason why it cannot be, or ""."""
    roles = COLUMNS[0] if "before" in row else COLUMNS[1][:2]
    names = [_inside(row[role]) for role in roles]
    if not all(names):
        return "a path leaves the folder of the file, or is no picture"
    if names[0] == names[1]:
        return "a picture is paired with itself"
    if row.get("same", "1") not in {"0", "1"}:
        return f"same is {row['same']!r}, not 0 or 1"
    if row.get("split") and row["split"] not in SPLITS:
        return f"split {row['split']!r} is none of {', '.join(SPLITS)}"
    same = row.get("same", "1") == "1"
    given = {key: row[key] for key in ("split", "licence") if row.get(key)}
    if same and row.get("identity"):
        given["identity"] = row["identity"]
    for name in names:
        before = entries[posix(name)].fields if posix(name) in entries else {}
        clash = next((k for k in given if before.get(k, given[k]) != given[k]), "")
        if clash:
            return f"{name} has another {clash} in an earlier row"
    for role, name, other in zip(roles, names, reversed(names), strict=True):
        entry = entries.setdefault(posix(name), _Entry(name))
        entry.fields |= given
        fact = {"line": line, "role": role, "partner": posix(other), "same": same}
        entry.pairs.append(fact)
    if same:
        people.join(posix(names[0]), posix(names[1]))
    return ""


def _inside(text: str) -> str:
    """The normalised relative path, empty where it leaves the folder or is no picture."""
    path = os.path.normpath(text)
    leaves = path.startswith("..") or Path(path).is_absolute()
    return "" if leaves or not is_picture(Path(path).name) else path


class _People:
    """Sets of pictures that pairs join (union-find); a person is named by the first picture."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._order: dict[str, int] = {}

    def of(self, name: str) -> str:
        """The first picture of the person, "" for a picture that no pair joins to another."""
        return self._root(name) if name in self._above else ""

    def join(self, a: str, b: str) -> None:
        """Both show one person."""
        for name in (a, b):
            self._above.setdefault(name, name)
            self._order.setdefault(name, len(self._order))
        first, second = sorted((self._root(a), self._root(b)), key=self._order.__getitem__)
        self._above[second] = first

    def _root(self, name: str) -> str:
        while self._above[name] != name:
            self._above[name] = self._above[self._above[name]]
            name = self._above[name]
        return name


LAYOUT = Layout("pairs", TERMS, recognise, read)
