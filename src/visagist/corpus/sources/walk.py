"""Walks folders lazily: a million files cost one sorted folder at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from visagist.corpus.sources.layout import Picture
from visagist.corpus.sources.source import posix, printable
from visagist.errors import DataError
from visagist.photo.formats import SUFFIXES


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of a picture and is not hidden (``._a.jpg`` is not)."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def subfolders(root: Path, folders: Sequence[str]) -> list[str]:
    """``folders`` as system paths below ``root``, or the root itself; all exist.

    Raises:
        DataError: one is missing or leads out of the root.
    """
    found = []
    for folder in folders:
        inside = os.path.normpath(folder)
        if inside.startswith("..") or Path(inside).is_absolute():
            raise DataError(f"folder {folder!r} is not below {printable(str(root))}")
        if not (root / inside).is_dir():
            raise DataError(f"{printable(str(root))} has no folder {folder!r}")
        found.append("" if inside == "." else inside)
    return found or [""]


def walk_pictures(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every file with a picture's suffix; see :func:`walk_files`."""
    return walk_files(root, folders, is_picture)


def walk_files(
    root: Path, folders: Sequence[str], wanted: Callable[[str], bool]
) -> Iterator[Picture]:
    """Every file with a wanted name below ``root``, depth first, each folder sorted by bytes.

    Hidden files and folders are passed over. Links are followed as long as they stay inside the
    root and do not lead back to a folder that is being walked; others cost one line of the report,
    as does a folder that cannot be listed.

    Raises:
        DataError: ``folders`` names one that is not there.
    """
    real_root = os.path.realpath(root)
    for start in subfolders(root, folders):
        yield from _walk(str(root), start, real_root, (), wanted)


def _walk(
    root: str, below: str, real_root: str, above: tuple[str, ...], wanted: Callable[[str], bool]
) -> Iterator[Picture]:
    here = os.path.join(root, below) if below else root  # noqa: PTH118  (bytes stay as they are)
    above = (*above, os.path.realpath(here))
    try:
        with os.scandir(here) as entries:
            listed = sorted(
                (os.fsencode(e.name), e.is_dir(), e.is_symlink())
                for e in entries
                if not e.name.startswith(".")
            )
    except OSError as error:
        name = posix(below) or "."
        yield Picture(name, below, problem=("unreadable", f"{name}: {error.strerror}"))
        return
    for raw, is_folder, is_link in listed:
        name = os.fsdecode(raw)
        path = os.path.join(below, name) if below else name  # noqa: PTH118
        if not is_folder and not wanted(name):
            continue
        problem = _bad_link(os.path.join(root, path), real_root, above) if is_link else ""  # noqa: PTH118
        if problem:
            yield Picture(posix(path), path, problem=("link", f"{posix(path)} {problem}"))
        elif is_folder:
            yield from _walk(root, path, real_root, above, wanted)
        else:
            yield Picture(posix(path), path)


def _bad_link(path: str, real_root: str, above: tuple[str, ...]) -> str:
    """Why a link is not followed; links to other places would let a set reach any file."""
    target = os.path.realpath(path)
    if target in above:
        return "links back to a folder above it"
    if target != real_root and not target.startswith(os.path.join(real_root, "")):  # noqa: PTH118
        return "links to a place outside of the source"
    return ""


def list_names(folder: Path) -> list[str]:
    """Names in a folder sorted by bytes, without hidden ones.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208
    except OSError as error:
        where = printable(str(folder))
        raise DataError(f"{where} cannot be listed ({error.strerror})") from error
    return sorted(names, key=os.fsencode)


def sorted_names(folder: Path) -> list[str]:
    """As :func:`list_names`, and none where there is no folder: for recognising layouts."""
    return list_names(folder) if folder.is_dir() else []
