"""Templates of many people for a calibration: out of folders, face sets, and corpora."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.sample import Kind, Origin
from visagist.corpus.sources.source import Source, SourceItem
from visagist.corpus.task import SkippedItemError
from visagist.errors import (
    FaceError,
    InputError,
    MissingExtraError,
    PhotoError,
    PoorPictureError,
)
from visagist.face.find import find_faces
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Detection, Face
from visagist.photo import Photo
from visagist.recognition.inference import Recognizer
from visagist.recognition.quality import measure

if TYPE_CHECKING:
    from visagist.corpus.corpus import Corpus
    from visagist.corpus.index import Record

KINDS: tuple[Kind, ...] = ("photo",)
"""Photographs alone: generated, blended and rendered faces resemble each other in another way."""


@dataclass(slots=True)
class Gathered:
    """Templates and what was left out.

    Attributes:
        vectors: unit vectors, one a picture.
        people: who is on each.
        sources: pictures used, by source.
        refused: pictures left out, by reason.
        problems: name and sentence of each picture that could not be read.
    """

    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Gathered) -> None:
        """Take over what was gathered elsewhere."""
        self.vectors += other.vectors
        self.people += other.people
        self.sources += other.sources
        self.refused += other.refused
        self.problems += other.problems

    def matrix(self) -> NDArray[np.float32]:
        """(n, d) float32.

        Raises:
            InputError: no picture gave a template.
        """
        if not self.vectors:
            why = ", ".join(f"{n} {reason}" for reason, n in self.refused.most_common())
            raise InputError(f"no picture gave a template ({why or 'there is none'})")
        return np.stack(self.vectors)


def gather_sources(
    recognizer: Recognizer,
    sources: Sequence[Source],
    *,
    splits: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    gate: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gathered:
    """Templates of the largest face of every picture that may be used for recognition.

    Args:
        recognizer: makes them.
        sources: opened sources.
        splits: only people that their set puts there; everybody when empty.
        kinds: only pictures of these kinds.
        gate: whether poor pictures are left out, as they are for users.
        progress: called with pictures done and in all.

    Raises:
        DataError: a source holds no picture.
    """
    items = [item for source in sources for item in source.items()]
    out = Gathered()
    for done, item in enumerate(items, 1):
        if item.problem is not None:
            out.refused[item.problem[0]] += 1
        elif _wanted(item.origin, item.origin.split, splits, kinds, out):
            _add_photo(out, recognizer, item, gate=gate)
        progress(done, len(items))
    return out


def gather_corpus(
    recognizer: Recognizer,
    corpus: Corpus,
    *,
    splits: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    gate: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gathered:
    """The same from the aligned faces of a corpus; faces need not be found again.

    Raises:
        DataError: a shard cannot be read.
    """
    out = Gathered()
    for done, record in enumerate(corpus.records, 1):
        if _wanted(record.origin, record.split, splits, kinds, out):
            pixels = Photo.open(corpus.picture(record)).pixels
            # a crop is not as large as the face in its photo
            width = record.quality.face_width
            _add(out, recognizer, (pixels, _face_of(record)), record.origin, gate=gate, width=width)
        progress(done, len(corpus.records))
    return out


def _wanted(
    origin: Origin, split: str, splits: Sequence[str], kinds: Sequence[str], out: Gathered
) -> bool:
    """Whether a picture takes part; what its terms forbid is counted, what is not asked for not."""
    if (splits and split not in splits) or origin.kind not in kinds:
        return False
    if "recognition" not in origin.uses:
        out.refused["not_allowed"] += 1
        return False
    return True


def _add_photo(out: Gathered, recognizer: Recognizer, item: SourceItem, *, gate: bool) -> None:
    try:
        pixels = Photo.open(item.read()).pixels
    except (PhotoError, SkippedItemError, MissingExtraError) as error:  # HEIC without its extra
        out.refused["unreadable"] += 1
        out.problems.append((item.name, str(error)))
        return
    faces = find_faces(pixels)
    if not faces:
        out.refused["no_face"] += 1
        return
    _add(out, recognizer, (pixels, faces[0]), item.origin, gate=gate)


def _add(
    out: Gathered,
    recognizer: Recognizer,
    shown: tuple[NDArray[np.uint8], Face],
    origin: Origin,
    *,
    gate: bool,
    width: float | None = None,
) -> None:
    pixels, face = shown
    try:
        if gate:
            quality = measure(pixels, face, recognizer.parser)
            recognizer.gate.check(quality if width is None else replace(quality, face_width=width))
        vector = recognizer.embed(pixels, face)
    except PoorPictureError as error:
        out.refused[error.reason] += 1
        return
    except FaceError as error:
        out.refused["bad_mesh"] += 1
        out.problems.append((origin.item, str(error)))
        return
    out.vectors.append(vector)
    out.people.append(origin.person)
    out.sources[origin.source] += 1


def _face_of(record: Record) -> Face:
    mesh = record.mesh
    low, high = mesh[:N_SKIN_POINTS, :2].min(0), mesh[:N_SKIN_POINTS, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(Detection(box, record.confidence), mesh, record.confidence)


def is_corpus(path: str) -> bool:
    """Whether a folder is a finished corpus rather than pictures."""
    return Path(path, "corpus.json").is_file()


def describe(gathered: Gathered, splits: Sequence[str]) -> str:
    """What the people of a calibration are, in words."""
    part = f" ({' and '.join(splits)} people)" if splits else ""
    return f"{len(set(gathered.people)):,} people of {', '.join(sorted(gathered.sources))}{part}"
