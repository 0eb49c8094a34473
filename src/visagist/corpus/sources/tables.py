"""Small text tables that come with sets; every complaint names the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from visagist.corpus.sources.source import printable
from visagist.errors import DataError

_MAX_BYTES = 1 << 30  # list files of the largest sets have some 10 MB, FFHQ's JSON 255 MB


def read_text(path: Path, *, without: str) -> str:
    """A text file of a set.

    Args:
        path: the file.
        without: what goes missing without it, for the message.

    Raises:
        DataError: missing, unreadable, or not UTF-8.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{printable(str(path))} is larger than any such file: check the path")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{printable(str(path))} is missing: without it, {without}") from error
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(str(path))} is not a UTF-8 text file") from error


def read_words(
    path: Path, *, columns: int, without: str, header: str = ""
) -> Iterator[tuple[int, list[str]]]:
    """Lines of words between blanks, with their line numbers; empty lines are passed over.

    Args:
        path: the file.
        columns: words a line.
        without: what goes missing without the file.
        header: first word of a heading line that is passed over.

    Raises:
        DataError: as :func:`read_text`, or a line with another number of words.
    """
    for number, line in enumerate(read_text(path, without=without).split("\n"), 1):
        words = line.split()
        if not words or (number == 1 and header and words[0] == header):
            continue
        if len(words) != columns:
            raise DataError(
                f"{printable(str(path))}, line {number}: {len(words)} words instead of {columns}"
            )
        yield number, words


def read_rows(
    path: Path, *, required: Sequence[str], without: str
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Rows of a CSV file with their line numbers; a broken row comes as the reason why.

    A row is a line, so that a stray quote spoils one row and not all that follow.

    Args:
        path: the file; the first row names the columns.
        required: columns that must be there and must not be empty.
        without: what goes missing without the file.

    Raises:
        DataError: as :func:`read_text`, or a required column is missing.
    """
    lines = read_text(path, without=without).split("\n")
    names = [name.strip() for name in _fields(lines[0], path)]
    absent = [name for name in required if name not in names]
    if absent:
        raise DataError(f"{printable(str(path))}: column {', '.join(absent)} is missing")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            row = next(csv.reader([line], strict=True))
        except csv.Error as error:
            yield number, str(error)
            continue
        yield number, _checked(names, row, required)


def _fields(line: str, path: Path) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise DataError(f"{printable(str(path))}, line 1: {error}") from error


def read_header(path: Path, *, without: str) -> frozenset[str]:
    """The names of a CSV file's columns.

    Raises:
        DataError: as :func:`read_text`, or the first line is broken.
    """
    first = read_text(path, without=without).split("\n")[0]
    return frozenset(name.strip() for name in _fields(first, path))


def _checked(names: list[str], row: list[str], required: Sequence[str]) -> dict[str, str] | str:
    if len(row) != len(names):
        return f"{len(row)} fields instead of {len(names)}"
    fields = {name: value.strip() for name, value in zip(names, row, strict=True)}
    empty = [name for name in required if not fields[name]]
    return f"{', '.join(empty)} is empty" if empty else fields
