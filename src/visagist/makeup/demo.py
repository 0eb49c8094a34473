"""The demonstration: one photo in several styles, with a sheet and the time each step took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visagist.face.find import find_faces
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.photo.files import make_folder
from visagist.photo.sheet import grid

if TYPE_CHECKING:
    from visagist.makeup.inference import Makeup

__all__ = ["DemoReport", "run_demo"]

_COLUMNS, _CELL = 4, 320
_MARGIN = 1.7


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Where the results lie and how long everything took.

    Attributes:
        sheet: the photo as it was and in every style.
        results: full-resolution results, one a style.
        timings: milliseconds by step; steps of the pipeline are summed over the styles.
        seconds: all of it, loading included.
        faces: faces found.
    """

    sheet: Path
    results: tuple[Path, ...]
    timings: dict[str, float]
    seconds: float
    faces: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sheet": str(self.sheet),
            "results": [str(path) for path in self.results],
            "timings_ms": {step: round(ms, 3) for step, ms in self.timings.items()},
            "seconds": round(self.seconds, 3),
            "faces": self.faces,
        }


def run_demo(
    photo_path: Path,
    folder: Path,
    load: Callable[[], Makeup],
    *,
    styles: Sequence[str] | None = None,
    overwrite: bool = False,
) -> DemoReport:
    """Make a photo up in several styles.

    Args:
        photo_path: a photo with a face.
        folder: gets ``NAME-STYLE.EXT`` for every style and ``NAME-styles.jpg``, which shows
            the largest face before and after.
        load: gives the engine, :meth:`Makeup.from_pretrained`; called here, so that it is timed.
        styles: names; all styles of the network by default.
        overwrite: replace results that exist.

    Raises:
        VisagistError: as opening, making up and saving raise it.
    """
    begin = time.perf_counter()
    timings: dict[str, float] = {}
    clock = _Clock(timings)
    engine = load()
    clock.lap("load the networks")
    photo = Photo.open(photo_path)
    clock.lap("decode the photo")
    found = find_faces(photo.pixels)
    clock.lap("find the faces")
    pictures, captions, paths, faces = [photo.pixels], ["before"], [], list[Face]()
    make_folder(folder)
    for style in engine.styles if styles is None else styles:
        result = engine.apply(photo, style=style, found=found)
        for step, ms in result.timings.items():
            timings[step] = timings.get(step, 0.0) + ms
        faces = result.faces
        clock.restart()
        path = folder / f"{photo_path.stem}-{style}{photo_path.suffix}"
        result.photo.save(path, overwrite=overwrite)
        clock.lap("encode the results")
        pictures.append(result.photo.pixels)
        captions.append(style)
        paths.append(path)
    clock.restart()
    sheet = folder / f"{photo_path.stem}-styles.jpg"
    window = _around(faces[0], photo) if faces else (slice(None), slice(None))
    picture = grid([p[window] for p in pictures], captions, columns=_COLUMNS, cell=_CELL)
    Photo.from_array(picture).save(sheet, overwrite=overwrite)
    clock.lap("draw the sheet")
    return DemoReport(sheet, tuple(paths), timings, time.perf_counter() - begin, len(faces))


def _around(face: Face, photo: Photo) -> tuple[slice, slice]:
    """Rows and columns of a square around a face, about twice as wide as the face."""
    points = face.mesh[:N_SKIN_POINTS, :2]
    side = min(int(_MARGIN * float(np.ptp(points, axis=0).max())), photo.width, photo.height)
    centre = (points.max(0) + points.min(0)) / 2
    left = min(max(0, int(centre[0]) - side // 2), photo.width - side)
    top = min(max(0, int(centre[1]) - side // 2), photo.height - side)
    return slice(top, top + side), slice(left, left + side)


class _Clock:
    """Adds the time since the last lap to a step."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings
        self.restart()

    def restart(self) -> None:
        self._start = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._timings[step] = self._timings.get(step, 0.0) + (now - self._start) * 1000.0
        self._start = now
