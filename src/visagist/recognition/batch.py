"""Vectors of many photos; one bad photo spoils nothing but itself."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from visagist.errors import InputError, NoFaceError, PoorPictureError, VisagistError
from visagist.face.find import choose, find_faces
from visagist.photo import Photo
from visagist.photo.files import write_atomically
from visagist.recognition.inference import Recognizer, Template
from visagist.recognition.quality import FaceQuality

__all__ = ["SUFFIXES", "Embedded", "embed_photos", "write_vectors"]

SUFFIXES = (".npz", ".jsonl")
Status = Literal["done", "no-face", "poor", "failed"]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What became of one face, or of a photo without any.

    Attributes:
        source: the photo.
        status: ``done``; ``no-face``; ``poor``, refused by the gate; ``failed``, unreadable.
        number: of the face in its photo, 0 the largest; ``None`` without one.
        template: the result, when done.
        reason: the message otherwise.
        error: the type of the error otherwise.
    """

    source: Path
    status: Status
    number: int | None = None
    template: Template | None = None
    reason: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the vector."""
        document: dict[str, Any] = {"photo": str(self.source), "status": self.status}
        if self.number is not None:
            document["face"] = self.number
        if self.template is not None:
            document["quality"] = rounded(self.template.quality)
        if self.error:
            document["error"] = {"type": self.error, "message": self.reason}
        return document


def embed_photos(
    recognizer: Recognizer,
    photos: Iterable[Path],
    *,
    faces: Literal["all", "largest"] | int = "all",
    gate: bool = True,
) -> Iterator[list[Embedded]]:
    """The faces of each photo, photo by photo.

    Args:
        recognizer: makes the vectors.
        photos: files.
        faces: which faces of each.
        gate: whether poor pictures are refused.
    """
    for path in photos:
        try:
            pixels = Photo.open(path).pixels
            found = find_faces(pixels)
            if not found:
                raise NoFaceError("no face was found")
            chosen = choose(found, faces)
        except VisagistError as error:
            status: Status = "no-face" if isinstance(error, NoFaceError) else "failed"
            yield [_not_done(path, status, error)]
            continue
        results = []
        for number, face in enumerate(found):
            if not any(face is one for one in chosen):
                continue
            try:
                template = recognizer.template_of(pixels, face, gate=gate)
                results.append(Embedded(path, "done", number, template))
            except VisagistError as error:
                status = "poor" if isinstance(error, PoorPictureError) else "failed"
                results.append(_not_done(path, status, error, number))
        yield results


def _not_done(
    path: Path, status: Status, error: VisagistError, number: int | None = None
) -> Embedded:
    return Embedded(path, status, number, None, str(error), type(error).__name__)


def write_vectors(
    path: Path, results: Sequence[Embedded], model_id: str, *, overwrite: bool = False
) -> None:
    """Write the vectors that are done, whole or not at all.

    ``.npz``: ``vectors`` (n, d) float32, ``photo``, ``face``, ``box`` (n, 4) x0 y0 x1 y1 in photo
    pixels, ``model_id``, and one (n,) array for each figure of the quality. ``.jsonl``: one object
    a face with the same names.

    Raises:
        InputError: the name ends in something else, or no vector was made.
        PhotoWriteError: it exists and may not be replaced, or cannot be written.
    """
    done = [(r, r.template) for r in results if r.template is not None]
    if not done:
        raise InputError(f"no face gave a vector, so {path} is not written")
    if path.suffix not in SUFFIXES:
        raise InputError(f"cannot tell the format of {path}; end it in {' or '.join(SUFFIXES)}")
    if path.suffix == ".jsonl":
        lines = [
            {
                "photo": str(r.source),
                "face": r.number,
                "box": [round(v, 1) for v in t.face.detection.box],
                "model_id": model_id,
                **rounded(t.quality),
                "vector": [float(f"{v:.7g}") for v in t.vector],
            }
            for r, t in done
        ]
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    else:
        columns: dict[str, Any] = {
            "vectors": np.stack([t.vector for _, t in done]),
            "photo": np.array([str(r.source) for r, _ in done]),
            "face": np.array([r.number for r, _ in done], np.int32),
            "box": np.array([t.face.detection.box for _, t in done], np.float32),
            "model_id": np.array(model_id),
        }
        for figure in fields(FaceQuality):
            values = [getattr(t.quality, figure.name) for _, t in done]
            columns[figure.name] = np.array(values, np.float32)
        stream = io.BytesIO()
        np.savez(stream, **columns)
        data = stream.getvalue()
    write_atomically(path, data, overwrite=overwrite)


def rounded(quality: FaceQuality) -> dict[str, float]:
    """The figures for JSON."""
    return {name: round(float(value), 4) for name, value in asdict(quality).items()}
