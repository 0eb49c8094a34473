"""Many photos into a gallery, or many against it; one bad photo spoils nothing but itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.errors import (
    FaceError,
    GalleryConflictError,
    GalleryDamagedError,
    GalleryWriteError,
    InputError,
    ModelMismatchError,
    NoFaceError,
    PoorPictureError,
    VisagistError,
)
from visagist.face.find import find_faces
from visagist.face.types import Face
from visagist.gallery.gallery import Gallery
from visagist.gallery.payload import crop_of
from visagist.gallery.types import SearchResult, Threshold
from visagist.photo import Photo
from visagist.photo.batch import gather
from visagist.photo.files import read_bytes
from visagist.photo.limits import Limits

__all__ = [
    "Found",
    "Outcome",
    "Picture",
    "Settings",
    "TemplateMaker",
    "enroll_pictures",
    "gather_pictures",
    "search_photo",
]

# These are about the gallery, not about a picture: going on would fail again.
_FATAL = (GalleryWriteError, GalleryConflictError, GalleryDamagedError, ModelMismatchError)
_NUMBERED = re.compile(r"[\s_\-]*(\(\d+\)|\d+)$")


class Templated(Protocol):
    """A face with its vector, as a recogniser returns it."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """(dimension,) float32 unit vector."""
        ...

    @property
    def face(self) -> Face:
        """Where it is in its photo."""
        ...

    @property
    def model_id(self) -> str:
        """The model that made it."""
        ...


class TemplateMaker(Protocol):
    """What this module needs of a recogniser."""

    def template(
        self, photo: Photo | NDArray[np.uint8], *, pick: int | None = None, gate: bool = True
    ) -> Templated:
        """The face of a photo, or the one that is picked."""
        ...

    def template_of(self, pixels: NDArray[np.uint8], face: Face, *, gate: bool = True) -> Templated:
        """The same for a face that was found already."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo and whose it is."""

    path: Path
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for all pictures of a run; the fields are those of ``Gallery.enroll``.

    Attributes:
        keep_crops: keep the face's picture, sealed, for a later model.
        pick: which face of a photo, from 0 for the largest; ``None`` when there must be one only.
        gate: refuse poor pictures.
    """

    consent: str
    retain_until: date | None
    add: bool = False
    keep_crops: bool = False
    pick: int | None = None
    gate: bool = True
    lookalike: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one picture.

    Attributes:
        status: ``enrolled``, ``added``, ``already`` (nothing was changed) or ``failed``.
        reason, error: for ``failed``: the message and the error's type.
    """

    path: Path
    person: str
    status: Literal["enrolled", "added", "already", "failed"]
    reason: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {
            "input": str(self.path),
            "person": self.person,
            "status": self.status,
        }
        if self.error:
            document["error"] = {"type": self.error, "message": self.reason}
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer for one face of a photo.

    Attributes:
        face: its number, 0 for the largest.
        box: x0, y0, x1, y1 of its mesh in photo pixels.
        result: who it is; ``None`` for a picture too poor to say.
        error: why there is no result.
    """

    face: int
    box: tuple[int, int, int, int]
    result: SearchResult | None = None
    error: PoorPictureError | None = None


def gather_pictures(inputs: Sequence[str], *, name: str | None = None) -> list[Picture]:
    """Whose pictures files and folders are.

    Args:
        inputs: files, folders and patterns; folders are searched to the bottom.
        name: whose they all are. Otherwise a picture inside a folder of a given folder is of the
            person that the inner folder is named after, and any other of the one that the file is
            named after, without a number at the end: ``Ada_Lovelace_02.jpg``.

    Raises:
        InputError: nothing is there, or a file's name is a number alone.
    """
    photos, _ = gather(inputs, recursive=True)
    return [Picture(path, name or _person(path, inside)) for path, inside in photos]


def _person(path: Path, inside: Path) -> str:
    if inside.parent.name:
        return inside.parent.name
    person = _NUMBERED.sub("", path.stem).replace("_", " ").strip()
    if not person:
        raise InputError(f"whose picture is {path}? give --name, or a folder a person")
    return person


def enroll_pictures(
    gallery: Gallery, recognizer: TemplateMaker, pictures: Iterable[Picture], settings: Settings
) -> Iterator[Outcome]:
    """Enrol pictures one by one, each in its own transaction.

    The first picture of a person enrols them, the others add to them. A picture that is in the
    gallery already is passed over, so the same call goes on where it was stopped.

    Raises:
        GalleryWriteError, GalleryConflictError, GalleryDamagedError, ModelMismatchError: no
            further picture could be enrolled either; those before it are.
    """
    ours: set[str] = set()  # ids of people whose pictures these are
    for picture in pictures:
        try:
            status, id = _enroll_one(gallery, recognizer, picture, settings, ours)
        except _FATAL:
            raise
        except VisagistError as error:
            yield Outcome(
                path=picture.path,
                person=picture.person,
                status="failed",
                reason=str(error),
                error=type(error).__name__,
            )
            continue
        ours.add(id)
        yield Outcome(path=picture.path, person=picture.person, status=status)


def _enroll_one(
    gallery: Gallery,
    recognizer: TemplateMaker,
    picture: Picture,
    settings: Settings,
    ours: set[str],
) -> tuple[Literal["enrolled", "added", "already"], str]:
    data = read_bytes(picture.path, max_bytes=Limits().max_bytes)
    digest = hashlib.sha256(data + str(settings.pick).encode()).digest()
    if gallery.has(picture.person, digest):
        return "already", gallery.person(picture.person).id
    photo = Photo.open(data)
    template = recognizer.template(photo, pick=settings.pick, gate=settings.gate)
    done = gallery.enroll(
        picture.person,
        template.vector,
        model_id=template.model_id,
        consent=settings.consent,
        retain_until=settings.retain_until,
        crop=crop_of(photo.pixels, template.face) if settings.keep_crops else None,
        source=picture.path.name,
        picture=digest,
        add=settings.add or gallery.id_of(picture.person) in ours,
        lookalike=settings.lookalike,
    )
    return done.status, done.person.id


def search_photo(
    gallery: Gallery,
    recognizer: TemplateMaker,
    photo: Photo,
    *,
    threshold: float | Threshold,
    top: int = 1,
    faces: Literal["all"] | int | None = None,
    gate: bool = True,
) -> list[Found]:
    """Who is on a photo.

    Args:
        gallery: who is known.
        recognizer: of the gallery's model.
        photo: the photo.
        threshold: see ``Gallery.search``.
        top: candidates a face, at most.
        faces: ``all``; the number of a face, 0 for the largest; ``None`` when there must be one
            only.
        gate: refuse poor pictures; with ``all`` a face too poor is told beside the others.

    Raises:
        NoFaceError, FaceChoiceError, PoorPictureError: see ``Recognizer.template``.
        GalleryError: see ``Gallery.search``.
    """

    def asked(number: int, template: Templated) -> Found:
        result = gallery.search(
            template.vector, model_id=template.model_id, threshold=threshold, top=top
        )
        return Found(face=number, box=_box(template.face), result=result)

    if faces != "all":
        template = recognizer.template(photo, pick=faces, gate=gate)
        return [asked(faces or 0, template)]
    found: list[Found] = []
    for number, face in enumerate(find_faces(photo.pixels)):
        try:
            found.append(asked(number, recognizer.template_of(photo.pixels, face, gate=gate)))
        except PoorPictureError as error:
            found.append(Found(face=number, box=_box(face), error=error))
        except FaceError:
            continue  # it lies outside the photo
    if not found:
        raise NoFaceError("no face was found in the photo")
    return found


def _box(face: Face) -> tuple[int, int, int, int]:
    low, high = face.mesh[:, :2].min(0), face.mesh[:, :2].max(0)
    return (int(low[0]), int(low[1]), int(np.ceil(high[0])), int(np.ceil(high[1])))
