"""Which photos are meant, and where each result goes.

One photo is written beside itself or where the user says. Several go to one folder under their own
names, folders with their structure. Two photos never share a result and no result ever lies on
top of a photo that was given.
"""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from visagist.errors import InputError, PhotoWriteError
from visagist.photo.formats import SUFFIXES

__all__ = ["DEFAULT_FOLDER", "Job", "gather", "plan"]

DEFAULT_FOLDER = Path("visagist-output")


@dataclass(frozen=True, slots=True)
class Job:
    """One photo and where its result goes."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class _Found:
    source: Path
    name: Path  # path of the result inside the output folder


def gather(
    inputs: Sequence[str], *, recursive: bool = False, output: Path | None = None
) -> tuple[list[tuple[Path, Path]], bool]:
    """Find the photos that files, folders and glob patterns stand for.

    Args:
        inputs: paths; what does not exist and holds ``*``, ``?`` or ``[`` is a pattern (a quoted
            one, or on Windows, where the shell leaves them alone).
        recursive: also look in the folders inside folders.
        output: the folder for results; photos in it are results of an earlier run and left out.

    Returns:
        (photo, name of its result) in the order given, each photo once, and whether this is one
        single file rather than a batch.

    Raises:
        InputError: nothing is there under that name, or a folder or pattern holds no photo.
    """
    found: list[_Found] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found += _folder(path, recursive, output)
        elif path.exists():
            found.append(_Found(path, Path(path.name)))
        elif glob.has_magic(text):
            found += _pattern(text, recursive)
        else:
            raise InputError(f"there is no file or folder {text}{_nearest(path)}")
    unique: dict[Path, _Found] = {}
    for item in found:
        unique.setdefault(item.source.resolve(), item)
    single = len(inputs) == 1 and Path(inputs[0]).is_file()
    return [(item.source, item.name) for item in unique.values()], single


def plan(
    photos: Iterable[tuple[Path, Path]],
    *,
    single: bool,
    output: Path | None,
    suffix: str,
    overwrite: bool = False,
) -> list[Job]:
    """Give every photo of :func:`gather` its place.

    Args:
        photos: (photo, name of its result).
        single: one file: ``output`` may be a file name, and defaults to ``NAME-SUFFIX`` beside it.
        output: file or folder for the results; default for several is :data:`DEFAULT_FOLDER`.
        suffix: what is added to the name of a single photo, usually the style.
        overwrite: whether a single photo's result may be replaced.

    Raises:
        InputError: two photos would share a result, or a result would replace a photo.
        PhotoWriteError: ``single`` only, for a batch skips what is finished: it exists already.
    """
    photos = list(photos)
    if single:
        source = photos[0][0]
        jobs = [Job(source, _single_target(source, output, suffix))]
        if jobs[0].target.exists() and not overwrite:
            raise PhotoWriteError(f"{jobs[0].target} exists; give --overwrite or another --output")
    else:
        folder = DEFAULT_FOLDER if output is None else output
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; several photos need a folder as --output")
        jobs = [Job(source, folder / _kept(name)) for source, name in photos]
    _refuse_clashes(jobs)
    return jobs


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        if job.target.resolve() in sources:
            raise InputError(
                f"the result would replace the photo {job.target}; give another --output"
            )
        # Windows and macOS tell names apart without regard to case
        other = taken.setdefault(str(job.target).casefold(), job.source)
        if other != job.source:
            raise InputError(
                f"{other} and {job.source} would both be written to {job.target}; "
                "give each its own --output"
            )


def _folder(folder: Path, recursive: bool, output: Path | None) -> list[_Found]:
    walk = folder.rglob("*") if recursive else folder.glob("*")
    results = output.resolve() if output is not None else DEFAULT_FOLDER.resolve()
    if results == folder.resolve():
        raise InputError(f"the results cannot lie in {folder}, the folder of the photos")
    found = [
        _Found(path, path.relative_to(folder))
        for path in sorted(walk)
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and results not in path.resolve().parents
    ]
    if not found:
        deeper = "" if recursive else "; --recursive also looks in the folders inside it"
        raise InputError(
            f"there is no photo in {folder} (looked for {', '.join(SUFFIXES)}){deeper}"
        )
    return found


def _pattern(text: str, recursive: bool) -> list[_Found]:
    paths = sorted(Path(name) for name in glob.glob(text, recursive=recursive))  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = [
        _Found(path, Path(path.name))
        for path in paths
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if not found:
        raise InputError(f"no photo matches {text} (looked for {', '.join(SUFFIXES)})")
    return found


def _single_target(source: Path, output: Path | None, suffix: str) -> Path:
    beside = _kept(Path(f"{source.stem}-{suffix}{source.suffix}"))
    if output is None:
        return source.with_name(beside.name)
    if output.is_dir():
        return output / beside.name
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot tell the format of {output}; end it in one of {', '.join(SUFFIXES)}, "
            "or make the folder first"
        )
    return output


def _kept(name: Path) -> Path:
    """The name with its ending; a photo whose ending says nothing becomes a JPEG."""
    return name if name.suffix.lower() in SUFFIXES else name.with_suffix(".jpg")


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    near = difflib.get_close_matches(path.name, (p.name for p in path.parent.iterdir()), n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
