"""What embedders make of the pictures of a list, as they are and under harder conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.errors import DataError, FaceError, NoFaceError, PhotoError
from visagist.face.find import find_faces
from visagist.face.types import Detection, Face
from visagist.photo import Photo
from visagist.recognition.evaluation.conditions import CONDITIONS, around
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.evaluation.figures import Trials
from visagist.recognition.evaluation.lists import Entry, EvaluationList

Aligned = Literal["labels", "found"]
Progress = Callable[[int, int], None]
Finder = Callable[[NDArray[np.uint8]], list[Face]]
CLEAN = "clean"


@dataclass
class Seen:
    """What the embedders made of the pictures.

    Attributes:
        vectors: (embedder, condition, file) -> vector; absent where none could be had.
        failed: condition -> file -> why there is no vector.
        skipped: pictures that could not be read, with the reason.
    """

    vectors: dict[tuple[str, str, str], NDArray[np.float32]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def rows(self, embedder: str, condition: str, entries: Sequence[Entry]) -> NDArray[np.float32]:
        """(n, d) vectors of pictures, NaN where there is none."""
        found = [self.vectors.get((embedder, condition, e.file)) for e in entries]
        length = next((len(v) for (name, *_), v in self.vectors.items() if name == embedder), 1)
        nothing = np.full(length, np.nan, np.float32)
        rows = [nothing if vector is None else vector for vector in found]
        return np.stack(rows) if rows else np.empty((0, length), np.float32)

    def failures(self, fixed: EvaluationList) -> dict[str, Any]:
        """Failures to enrol or to search, by condition and role, with their reasons."""
        roles = {e.file: e.role for e in fixed.entries}
        return {
            condition: {
                "pictures": len(failed),
                **Counter(roles[name] for name in failed),
                "reasons": dict(Counter(failed.values())),
            }
            for condition, failed in self.failed.items()
        }


def see(
    data: Path,
    fixed: EvaluationList,
    embedders: Sequence[Embedder],
    *,
    conditions: Sequence[str] = (),
    aligned: Aligned = "labels",
    find: Finder = find_faces,
    progress: Progress = lambda done, total: None,
) -> Seen:
    """Show every picture of a list to every embedder, and the searches under each condition too.

    Args:
        data: labelled tree.
        fixed: the list.
        embedders: with names of their own.
        conditions: names of :data:`~visagist.recognition.evaluation.conditions.CONDITIONS`.
        aligned: by the labelled meshes, or by the largest face that is found in the picture.
        find: finds the faces of a picture, largest first.
        progress: called with pictures done and in all.

    Raises:
        DataError: no picture can be read.
    """
    faces = labelled(data, fixed)
    seen = Seen(failed={name: {} for name in (CLEAN, *conditions)})
    for done, entry in enumerate(fixed.entries, 1):
        face = faces.get(entry.file)
        try:
            if face is None:
                raise DataError("not in the tree, or without a mesh")
            pixels = Photo.open(face.path).pixels
        except (PhotoError, DataError) as error:
            seen.skipped[entry.file] = str(error)
            progress(done, len(fixed.entries))
            continue
        for condition in (CLEAN, *(conditions if entry.role != "enrolled" else ())):
            try:
                picture, mesh = pixels, face.mesh
                if condition != CLEAN:
                    picture, mesh = CONDITIONS[condition](*around(picture, mesh))
                if aligned == "labels":
                    shown = Face(Detection(face.box, 1.0, face.points5), mesh, 1.0)
                else:
                    shown = _largest(find(picture))
                for embedder in embedders:
                    seen.vectors[embedder.name, condition, entry.file] = embedder.embed(
                        picture, shown
                    )
            except FaceError as error:
                seen.failed[condition][entry.file] = str(error)
        progress(done, len(fixed.entries))
    if len(seen.skipped) == len(fixed.entries):
        raise DataError(f"{data}: none of the pictures of the list can be read")
    for failed in seen.failed.values():
        failed.update(dict.fromkeys(seen.skipped, "unreadable"))
    return seen


def labelled(data: Path, fixed: EvaluationList) -> dict[str, LabelledFace]:
    """The labelled faces of a list, by name.

    Raises:
        DataError: the tree cannot be read.
    """
    folders = sorted({e.file.split("/")[0] for e in fixed.entries})
    present = [f for f in folders if (data / "labels" / f"{f}.npz").is_file()]
    return {f.name: f for f in read_faces(data, folders=present or folders)}


def _largest(faces: Sequence[Face]) -> Face:
    if not faces:
        raise NoFaceError("no face found")
    return faces[0]


def people(fixed: EvaluationList, sets: Iterable[str]) -> list[str]:
    """Identities of the enrolled people of some sets, in the order of their numbers."""
    return list(dict.fromkeys(e.identity for e in fixed.pictures("enrolled", sets)))


def trials(
    embedder: Embedder, fixed: EvaluationList, seen: Seen, sets: Iterable[str], condition: str
) -> Trials:
    """Mated searches of some sets under a condition, against enrolled pictures as they are."""
    members = tuple(sets)
    numbers = {identity: i for i, identity in enumerate(people(fixed, members))}
    enrolled, mates = fixed.pictures("enrolled", members), fixed.pictures("mate", members)
    scores = embedder.compare(
        seen.rows(embedder.name, condition, mates), seen.rows(embedder.name, CLEAN, enrolled)
    )
    return Trials(
        scores,
        np.array([numbers[e.identity] for e in mates]),
        np.array([numbers[e.identity] for e in enrolled]),
        len(numbers),
    )
