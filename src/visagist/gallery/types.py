"""What a gallery takes and gives: people, enrolments, answers, audit entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.face.types import Face

__all__ = [
    "AuditEntry",
    "AuditReport",
    "Candidate",
    "Embedder",
    "Enrolment",
    "FaceCrop",
    "Migration",
    "Person",
    "Removal",
    "SearchResult",
    "Threshold",
]


class Embedder(Protocol):
    """What a gallery needs of a recogniser."""

    @property
    def model_id(self) -> str:
        """Name, version and hash of the network and of its preprocessing."""
        ...

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        ...

    def embed(self, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """(H, W, 3) uint8 picture and a face in it -> (dimension,) float32 unit vector."""
        ...


class Threshold(Protocol):
    """A threshold that a calibration promises a rate of errors for."""

    @property
    def value(self) -> float:
        """Least cosine of a match, -1..1."""
        ...

    @property
    def rate(self) -> float:
        """Share of strangers who get a name in a gallery of ``gallery_size``, 0..1."""
        ...

    @property
    def gallery_size(self) -> int | None:
        """People in the gallery that ``rate`` is for; ``None`` for a rate of another kind."""
        ...


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """The part of a picture that is kept, when the user chose to, for a later model.

    Attributes:
        pixels: (256, 256, 3) uint8 RGB, the canonical crop.
        mesh: (478, 3) float32, the face mesh in pixels of the crop.
    """

    pixels: NDArray[np.uint8]
    mesh: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Person:
    """An enrolled person.

    Attributes:
        id: 32 hexadecimal digits, random; what the audit log knows the person by.
        name: normalised to NFC.
        consent: what the person agreed to, and where that is on record.
        retain_until: last day on which the person may be matched; ``None`` for no end.
        enrolled: UTC time of the first enrolment.
        templates: vectors of the gallery's model.
        outdated: vectors of other models, which are never matched.
        crops: kept pictures.
    """

    id: str
    name: str
    consent: str
    retain_until: date | None
    enrolled: datetime
    templates: int = 0
    outdated: int = 0
    crops: int = 0

    def expired(self, today: date) -> bool:
        """Whether the retention date has passed."""
        return self.retain_until is not None and today > self.retain_until


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment did.

    Attributes:
        person: the person as they are now.
        status: ``enrolled``, a new person; ``added``, a further template; ``already``, this very
            vector is there and nothing was changed.
        crop_kept: whether a picture is kept with it.
    """

    person: Person
    status: Literal["enrolled", "added", "already"]
    crop_kept: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person above the threshold.

    Attributes:
        name: of the person.
        id: 32 hexadecimal digits.
        score: cosine of the person's best template, rounded to three places: exact scores help
            to rebuild a face (docs/gallery.md).
    """

    name: str
    id: str
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a search.

    Attributes:
        decision: ``known`` when somebody scores at least the threshold, else ``unknown``.
        candidates: best first, only those at or above the threshold; empty when unknown.
        threshold: least cosine of a match.
        fpir: share of strangers who would get a name, as calibrated; ``None`` when nobody knows:
            the threshold was a bare number, or is for fewer people than there are.
        searched: people who could have been matched.
    """

    decision: Literal["known", "unknown"]
    candidates: tuple[Candidate, ...]
    threshold: float
    fpir: float | None
    searched: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed.

    Attributes:
        people: ids.
        templates, crops: how many went with them.
        purged: whether nothing of it is left in the file; False while another process reads it.
    """

    people: tuple[str, ...]
    templates: int
    crops: int
    purged: bool


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one export.

    Attributes:
        sequence: from 1, without gaps.
        time: UTC.
        action: ``create``, ``enroll``, ``add``, ``change``, ``remove``, ``expire``, ``export``,
            ``migrate``, ``switch``.
        people: ids of the people concerned; names are never logged, for they could not be removed.
        details: counts and model ids.
    """

    sequence: int
    time: datetime
    action: str
    people: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found; one that fails raises instead.

    Attributes:
        entries: the whole log, verified.
        anchor: ``SEQUENCE:HASH`` of the log's end. Written down elsewhere, it shows later that
            nothing before it was taken back.
        model_id: of the gallery.
        people, templates, crops: counts, each record opened and verified.
        expired: people whose retention date has passed and who are still stored.
        outdated: people with no vector of the gallery's model, who cannot be matched.
        endless: people without a retention date.
    """

    entries: tuple[AuditEntry, ...]
    anchor: str
    model_id: str
    people: int
    templates: int
    crops: int
    expired: tuple[Person, ...]
    outdated: tuple[Person, ...]
    endless: int


@dataclass(frozen=True, slots=True)
class Migration:
    """How far a migration to another model went.

    Attributes:
        source, target: model ids.
        templates: how many were embedded again, in this and earlier runs.
        people: how many people have them.
        left: people without a kept picture, who must be enrolled again; they stay stored and are
            not matched.
        failed: (name, reason) of people whose kept picture could not be embedded.
        switched: whether the gallery is now one of the new model.
    """

    source: str
    target: str
    templates: int
    people: int
    left: tuple[Person, ...]
    failed: tuple[tuple[str, str], ...]
    switched: bool
