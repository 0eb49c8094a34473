"""Photos by file, folder or pattern."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from visagist.errors import InputError
from visagist.photo.formats import SUFFIXES

__all__ = ["find_photos"]


def find_photos(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """Photos named by files, folders and glob patterns.

    A file named outright is taken as it is, whatever its suffix: the user asked for it. Folders
    and patterns give files with an allowed suffix, and no hidden ones.

    Args:
        paths: files, folders, or patterns such as ``holiday/*.jpg`` and ``**/*.png``.
        recursive: whether to look into folders inside folders.

    Returns:
        sorted paths, each file once (also when it is reached by two names).

    Raises:
        InputError: nothing was found; the message names what was searched. Also for a path that
            does not exist and is no pattern.
    """
    found: dict[Path, Path] = {}
    for given in paths:
        for path in _one(Path(given), recursive=recursive):
            found.setdefault(path.resolve(), path)
    if not found:
        searched = ", ".join(repr(str(path)) for path in paths) or "nothing was named"
        hint = "" if recursive else "; folders inside folders need recursive"
        raise InputError(f"No photos found in {searched} (looked for {', '.join(SUFFIXES)}{hint}).")
    return sorted(found.values())


def _one(path: Path, *, recursive: bool) -> Iterable[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return _in_folder(path, recursive=recursive)
    if glob.has_magic(str(path)):
        return _matching(str(path), recursive=recursive)
    raise InputError(f"{str(path)!r} does not exist: check the path.")


def _in_folder(folder: Path, *, recursive: bool) -> Iterable[Path]:
    inside = folder.rglob("*") if recursive else folder.glob("*")
    return (path for path in inside if _is_photo(path, below=folder))


def _matching(pattern: str, *, recursive: bool) -> Iterable[Path]:
    for name in glob.glob(pattern, recursive=True):  # noqa: PTH207  (patterns may be absolute)
        path = Path(name)
        if path.is_dir():
            yield from _in_folder(path, recursive=recursive) if recursive else ()
        elif _is_photo(path, below=path.parent):
            yield path


def _is_photo(path: Path, *, below: Path) -> bool:
    """Whether the suffix is allowed and neither the file nor a folder on the way is hidden."""
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()
