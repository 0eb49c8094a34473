"""What is inside the sealed records, as bytes and back.

A payload is only read after its seal was opened, so its writer had the key; the numbers that every
start of a gallery needs stand first, so that 100,000 records open in a second.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import GalleryDamagedError, PhotoError
from visagist.face.align import CROP_SIZE, crop
from visagist.face.topology import N_POINTS
from visagist.face.types import Detection, Face
from visagist.gallery.types import AuditEntry, FaceCrop, Person
from visagist.photo import Photo

__all__ = ["PersonFields", "TemplateFields", "as_face", "crop_of"]

_LAST_DAY = struct.Struct(">i")
_MESH_BYTES = N_POINTS * 3 * 4
_JPEG_QUALITY = 95  # moves an embedding by less than another picture of the same minute does


@dataclass(frozen=True, slots=True)
class PersonFields:
    """What a person's record says; see :class:`~visagist.gallery.types.Person`."""

    name: str
    consent: str
    retain_until: date | None
    enrolled: datetime

    def to_bytes(self) -> bytes:
        """Last day first, then the rest as JSON."""
        fields = {
            "name": self.name,
            "consent": self.consent,
            "enrolled": self.enrolled.isoformat(timespec="seconds"),
        }
        return _LAST_DAY.pack(self.last_day_ordinal or 0) + json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> PersonFields:
        """Read back.

        Raises:
            GalleryDamagedError: it is not a person.
        """
        fields = _json(data[_LAST_DAY.size :], "person")
        day = cls.last_day(data)
        try:
            return cls(
                fields["name"],
                fields["consent"],
                None if day is None else date.fromordinal(day),
                datetime.fromisoformat(fields["enrolled"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise _misread("person") from error

    @property
    def last_day_ordinal(self) -> int | None:
        """Last day on which the person may be matched."""
        return None if self.retain_until is None else self.retain_until.toordinal()

    def expired(self, today: date) -> bool:
        """Whether the retention date has passed."""
        return self.retain_until is not None and today > self.retain_until

    def person(self, id: bytes, templates: int, outdated: int, crops: int) -> Person:
        """As callers see it, with counts of what is stored."""
        return Person(
            id.hex(),
            self.name,
            self.consent,
            self.retain_until,
            self.enrolled,
            templates,
            outdated,
            crops,
        )

    @staticmethod
    def last_day(data: bytes) -> int | None:
        """The retention date alone, as an ordinal."""
        try:
            return _LAST_DAY.unpack_from(data)[0] or None
        except struct.error as error:
            raise _misread("person") from error


@dataclass(frozen=True, slots=True)
class TemplateFields:
    """What a template's record says.

    Attributes:
        vector: (dimension,) float32 unit vector.
        source: name of the picture, or "".
        crop: id of the kept picture, or b"".
        enrolled: UTC.
        picture: digest of the picture, or of the vector where no picture was named.
    """

    vector: NDArray[np.float32]
    source: str
    crop: bytes
    enrolled: datetime
    picture: bytes

    def to_bytes(self) -> bytes:
        """The vector first, then the rest as JSON."""
        fields = {
            "source": self.source,
            "crop": self.crop.hex(),
            "enrolled": self.enrolled.isoformat(timespec="seconds"),
            "picture": self.picture.hex(),
        }
        return self.vector.astype("<f4").tobytes() + json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes, dimension: int) -> TemplateFields:
        """Read back.

        Raises:
            GalleryDamagedError: it is not a template of this dimension.
        """
        fields = _json(data[4 * dimension :], "template")
        try:
            return cls(
                cls.vector_of(data, dimension),
                fields["source"],
                bytes.fromhex(fields["crop"]),
                datetime.fromisoformat(fields["enrolled"]),
                bytes.fromhex(fields["picture"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise _misread("template") from error

    @staticmethod
    def vector_of(data: bytes, dimension: int) -> NDArray[np.float32]:
        """The vector alone."""
        if len(data) < 4 * dimension:
            raise _misread("template")
        return np.frombuffer(data, "<f4", dimension)


def crop_of(pixels: NDArray[np.uint8], face: Face) -> FaceCrop:
    """The canonical crop of a face and its mesh in it, to be kept for a later model."""
    alignment = face.alignment(CROP_SIZE)
    return FaceCrop(crop(pixels, alignment), alignment.to_crop(face.mesh))


def crop_bytes(kept: FaceCrop) -> bytes:
    """The mesh, then the picture as JPEG."""
    picture = Photo.from_array(kept.pixels).to_bytes("JPEG", quality=_JPEG_QUALITY)
    return kept.mesh.astype("<f4").tobytes() + picture


def crop_from_bytes(data: bytes) -> FaceCrop:
    """Read back.

    Raises:
        GalleryDamagedError: it is not a kept picture.
    """
    if len(data) <= _MESH_BYTES:
        raise _misread("crop")
    mesh = np.frombuffer(data, "<f4", N_POINTS * 3).reshape(N_POINTS, 3)
    try:
        return FaceCrop(Photo.open(data[_MESH_BYTES:]).pixels, mesh)
    except PhotoError as error:
        raise _misread("crop") from error


def as_face(kept: FaceCrop) -> Face:
    """The face in a kept picture, as a recogniser wants it."""
    low, high = kept.mesh[:, :2].min(0), kept.mesh[:, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(Detection(box, 1.0), kept.mesh, 1.0)


def entry_bytes(action: str, people: tuple[str, ...], details: dict[str, Any]) -> bytes:
    """A log entry of this moment."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps(
        {"time": now, "action": action, "people": people, "details": details}
    ).encode()


def entry_from_bytes(sequence: int, data: bytes) -> AuditEntry:
    """Read back.

    Raises:
        GalleryDamagedError: it is not a log entry.
    """
    fields = _json(data, "log entry")
    try:
        time = datetime.fromisoformat(fields["time"])
        people = tuple(fields["people"])
        return AuditEntry(sequence, time, fields["action"], people, fields["details"])
    except (KeyError, ValueError, TypeError) as error:
        raise _misread("log entry") from error


def _json(data: bytes, what: str) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise _misread(what) from error
    if not isinstance(fields, dict):
        raise _misread(what)
    return fields


def _misread(what: str) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"a {what} was sealed by another version of visagist; open it with that"
    )
