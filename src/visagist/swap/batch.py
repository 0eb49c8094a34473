"""Swap faces in many photos, one after the other, so that one bad photo spoils nothing but itself.

What is finished is told from a journal in the folder of the results: a result counts as done when
it was made with the same settings (source, model, consent, faces, strength). Results of other
settings are never replaced unless that is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from visagist.errors import FaceError, PhotoFormatError, PhotoWriteError, VisagistError
from visagist.photo import Photo
from visagist.photo.batch import Job
from visagist.photo.decode import SEVERAL
from visagist.photo.files import append_line, make_folder
from visagist.swap.inference import Swapper
from visagist.swap.types import Identity, Reference, SwapResult

__all__ = ["JOURNAL", "Outcome", "Settings", "open_still", "run_batch", "run_one"]

JOURNAL = ".visagist-swap.jsonl"
"""One line a result, in the folder of the results: its name and the hash of the settings."""

_MOVING = ("PNG", "WebP", "AVIF")

Status = Literal["done", "skipped", "untouched", "failed"]
Save = Callable[[Photo, Job], Mapping[str, Any]]
"""Writes a result with its marks and says what it did, for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is done to every photo of a batch.

    Attributes:
        identity: whose face.
        face: which faces.
        strength: 0..1.
        match_colour: bring the face into the photo's light.
        overwrite: replace results that exist.
        told: everything the result depends on, as text: digests of the source's pictures, model,
            consent, choice of faces, strength, quality.
    """

    identity: Identity
    face: Literal["all", "largest"] | int | Reference
    strength: float
    match_colour: bool
    overwrite: bool
    told: Mapping[str, str | float | int | list[str]]

    @property
    def digest(self) -> str:
        """SHA-256 of ``told``."""
        return hashlib.sha256(json.dumps(self.told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one photo.

    Attributes:
        status: ``done``; ``skipped``, it was done before; ``untouched``, no face could be replaced
            and nothing was written; ``failed``.
        faces: how many faces were replaced.
        refused: for each face that was meant and left, why.
        marks: how the result was marked.
        warnings: what was noticed on the way.
        reason, error: for ``untouched`` and ``failed``: the message and the error's type.
    """

    source: Path
    target: Path
    status: Status
    faces: int = 0
    refused: tuple[str, ...] = ()
    marks: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    reason: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "input": str(self.source),
            "output": str(self.target) if self.status in {"done", "skipped"} else None,
            "status": self.status,
            "faces": self.faces,
            "refused": list(self.refused),
            "marks": None if self.marks is None else dict(self.marks),
            "warnings": list(self.warnings),
        }
        if self.error:
            document["error"] = {"type": self.error, "message": self.reason}
        return document


def open_still(path: Path) -> Photo:
    """A photo to take a face from or to swap one in; of an animation one frame would pass for all.

    Raises:
        PhotoError: it cannot be read, is too large, or holds several pictures in a format where
            they are an animation.
    """
    photo = Photo.open(path)
    # JPEG and HEIC cannot move: a second picture there is a phone's preview or depth map.
    if SEVERAL in photo.warnings and photo.format in _MOVING:
        raise PhotoFormatError(f"{path} is animated; save the frame you mean as a photo")
    return photo


def run_one(engine: Swapper, job: Job, settings: Settings, save: Save) -> Outcome:
    """Open, swap and save one photo.

    Raises:
        PhotoError, FaceError: as :meth:`Swapper.swap` and ``save`` raise them; nothing was written.
        FaceError: also where every face that was meant had to be left as it is.
    """
    photo = open_still(job.source)
    result = engine.swap(
        photo,
        settings.identity,
        face=settings.face,
        strength=settings.strength,
        match_colour=settings.match_colour,
    )
    refused = tuple(each.words for each in result.refused)
    if not result.faces:
        raise FaceError(f"nothing was changed: {'; '.join(dict.fromkeys(refused))}")
    marks = save(result.photo, job)
    return _done(job, result, refused, marks)


def _done(
    job: Job, result: SwapResult, refused: tuple[str, ...], marks: Mapping[str, Any]
) -> Outcome:
    return Outcome(
        source=job.source,
        target=job.target,
        status="done",
        faces=len(result.faces),
        refused=refused,
        marks=marks,
        warnings=result.photo.warnings,
    )


def run_batch(
    engine: Swapper, jobs: Iterable[Job], settings: Settings, save: Save, *, journal: Path
) -> Iterator[Outcome]:
    """Work through ``jobs``; a result made with the same settings is not made again.

    Results appear whole or not at all, so whatever stops this, the same call goes on from there.

    Args:
        engine: swaps.
        jobs: photos and where their results go.
        settings: the same for all.
        save: writes a result.
        journal: file that says which results are done.
    """
    digest, finished = settings.digest, _read_journal(journal)
    for job in jobs:
        key = str(job.target.relative_to(journal.parent))
        if job.target.exists() and not settings.overwrite:
            if finished.get(key) == digest:
                yield Outcome(source=job.source, target=job.target, status="skipped")
            else:
                reason = (
                    f"{job.target} exists and was made otherwise; give --overwrite or another "
                    "--output"
                )
                yield _failed(job, PhotoWriteError(reason))
            continue
        try:
            outcome = run_one(engine, job, settings, _noting(save, journal, key, digest))
        except VisagistError as error:
            yield _failed(job, error)
        else:
            yield outcome


_REPLACED = "being replaced"
"""In a journal: neither the settings before nor the new ones are sure to have made the file."""


def _noting(save: Save, journal: Path, key: str, digest: str) -> Save:
    """Saving that also keeps the journal, so that a kill between the two costs nothing.

    A new result is noted first: without its file the line means nothing. One that replaces another
    is noted last, or the old file would pass for the new one; and before that, that the old
    settings are no longer what made the file.
    """

    def noted(photo: Photo, job: Job) -> Mapping[str, Any]:
        make_folder(journal.parent)
        new = not job.target.exists()
        _note(journal, key, digest if new else _REPLACED)
        report = save(photo, job)
        if not new:
            _note(journal, key, digest)
        return report

    return noted


def _failed(job: Job, error: VisagistError) -> Outcome:
    return Outcome(
        source=job.source,
        target=job.target,
        status="untouched" if isinstance(error, FaceError) else "failed",
        reason=str(error),
        error=type(error).__name__,
    )


def _read_journal(path: Path) -> dict[str, str]:
    """Settings by result; a line that a power cut tore is no line."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PhotoWriteError(f"{path} cannot be read ({error.strerror})") from error
    found = {}
    for line in lines:
        try:
            entry = json.loads(line)
            found[str(entry["name"])] = str(entry["settings"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _note(path: Path, key: str, digest: str) -> None:
    try:
        append_line(path, json.dumps({"name": key, "settings": digest}))
    except OSError as error:
        raise PhotoWriteError(f"{path} cannot be written ({error.strerror})") from error
