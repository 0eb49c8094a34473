"""Make up many photos, one after the other, so that one bad photo spoils nothing but itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from visagist.errors import NoFaceError, VisagistError
from visagist.photo import Photo
from visagist.photo.batch import Job
from visagist.photo.files import make_folder
from visagist.photo.sheet import side_by_side

if TYPE_CHECKING:
    from visagist.makeup.inference import Makeup

__all__ = ["Outcome", "Settings", "compare_path", "run_batch", "run_one"]

Status = Literal["done", "skipped", "no-face", "failed"]
Save = Callable[[Photo, Path, Job], None]
"""Writes a picture of a job to a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is done to every photo of a batch.

    Attributes:
        style: name of the style when ``mix`` is not given.
        mix: shares by style.
        intensity, lips, eyes, skin: factors, 1 is as the style was designed.
        faces: ``all``, ``largest`` or the number of a face from 0, the largest first.
        compare: also write before beside after.
        quality: 1..100 of lossy formats.
        overwrite: replace results that exist.
    """

    style: str = "rosewood"
    mix: dict[str, float] | None = None
    intensity: float = 1.0
    lips: float = 1.0
    eyes: float = 1.0
    skin: float = 1.0
    faces: Literal["all", "largest"] | int = "all"
    compare: bool = False
    quality: int = 95
    overwrite: bool = False

    @property
    def label(self) -> str:
        """A name for files: the style, or the mixed styles joined."""
        return self.style if self.mix is None else "+".join(self.mix)

    @property
    def weights(self) -> dict[str, float]:
        """Share by style, also when there is only one."""
        return {self.style: 1.0} if self.mix is None else self.mix


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one photo.

    Attributes:
        status: ``done``; ``skipped``, the result was there; ``no-face``; ``failed``.
        faces: how many faces were made up.
        timings: milliseconds by step.
        reason, error: for ``no-face`` and ``failed``: the message and the error's type.
    """

    source: Path
    target: Path
    status: Status
    faces: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "input": str(self.source),
            "output": str(self.target),
            "status": self.status,
            "faces": self.faces,
            "timings_ms": {step: round(ms, 3) for step, ms in self.timings.items()},
        }
        if self.error:
            document["error"] = {"type": self.error, "message": self.reason}
        return document


def compare_path(target: Path) -> Path:
    """Where before beside after goes: ``me-rosewood.jpg`` -> ``me-rosewood-compare.jpg``."""
    return target.with_name(f"{target.stem}-compare{target.suffix}")


def run_one(engine: Makeup, job: Job, settings: Settings, save: Save | None = None) -> Outcome:
    """Open, make up and save one photo; ``save`` writes it, by default without marks.

    Raises:
        PhotoError, FaceError: as :class:`Photo` and :meth:`Makeup.apply` raise them; then nothing
            was written.
    """
    timings: dict[str, float] = {}
    start = time.perf_counter()
    photo = Photo.open(job.source)
    timings["decode"] = _since(start)
    result = engine.apply(
        photo,
        style=settings.style,
        intensity=settings.intensity,
        lips=settings.lips,
        eyes=settings.eyes,
        skin=settings.skin,
        mix=settings.mix,
        faces=settings.faces,
    )
    timings |= result.timings
    start = time.perf_counter()
    make_folder(job.target.parent)
    _save(result.photo, job.target, job, settings, save)
    if settings.compare:
        sheet = Photo.from_array(side_by_side(photo.pixels, result.photo.pixels))
        _save(sheet, compare_path(job.target), job, settings, save)
    timings["encode"] = _since(start)
    return Outcome(
        source=job.source,
        target=job.target,
        status="done",
        faces=len(result.faces),
        timings=timings,
    )


def run_batch(
    engine: Makeup, jobs: Iterable[Job], settings: Settings, save: Save | None = None
) -> Iterator[Outcome]:
    """Work through ``jobs``; a result that exists is not made again unless asked.

    Results appear whole or not at all, so whatever stops this, the same call goes on from there.
    """
    for job in jobs:
        if not settings.overwrite and _finished(job, settings):
            yield Outcome(source=job.source, target=job.target, status="skipped")
            continue
        try:
            yield run_one(engine, job, settings, save)
        except VisagistError as error:
            yield Outcome(
                source=job.source,
                target=job.target,
                status="no-face" if isinstance(error, NoFaceError) else "failed",
                reason=str(error),
                error=type(error).__name__,
            )


def _finished(job: Job, settings: Settings) -> bool:
    wanted = [job.target] + ([compare_path(job.target)] if settings.compare else [])
    return all(path.exists() for path in wanted)


def _save(photo: Photo, path: Path, job: Job, settings: Settings, save: Save | None) -> None:
    # What exists stays unless asked otherwise: of a stopped run only the missing half is written.
    if path.exists() and not settings.overwrite:
        return
    if save is not None:
        save(photo, path, job)
    else:
        photo.save(path, quality=settings.quality, overwrite=settings.overwrite)


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000.0
