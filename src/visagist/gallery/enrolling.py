"""The plan of an enrolment: who is new, who is known, what is stored and what is refused."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DuplicatePersonError, ExpiredPersonError, InputError
from visagist.gallery.core import Core
from visagist.gallery.ledger import Draft
from visagist.gallery.names import normal_name, normal_note
from visagist.gallery.payload import PersonFields, TemplateFields, crop_bytes
from visagist.gallery.store import ID_BYTES, Kind, Record
from visagist.gallery.types import FaceCrop

__all__ = ["Plan", "Submission", "checked"]

Vector = NDArray[np.float32]
Status = Literal["enrolled", "added", "already"]


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """One face to be enrolled; the fields are those of ``Gallery.enroll``."""

    person: str
    vector: Vector
    consent: str
    retain_until: date | None
    crop: FaceCrop | None = None
    source: str = ""
    picture: bytes = b""


@dataclass(slots=True)
class Plan:
    """What enrolling some faces would change, collected in a draft.

    Attributes:
        core: the gallery.
        draft: collects the records.
        add: whether people may be enrolled already.
        lookalike: least cosine at which a face is taken to be somebody else's; ``None`` for never.
        outcomes: (person, what happened, whether a picture is kept) of each submission.
    """

    core: Core
    draft: Draft
    add: bool
    lookalike: float | None
    outcomes: list[tuple[bytes, Status, bool]] = field(default_factory=list)
    _people: dict[bytes, Record] = field(default_factory=dict)  # as this plan leaves them
    _templates: set[bytes] = field(default_factory=set)

    @property
    def action(self) -> str:
        """What the log calls it."""
        return "enroll" if any(s == "enrolled" for _, s, _ in self.outcomes) else "add"

    @property
    def templates(self) -> int:
        """How many are added."""
        return len(self._templates)

    def take(self, one: Submission) -> None:
        """Plan one face, checked before.

        Raises:
            DuplicatePersonError, ExpiredPersonError: see ``Gallery.enroll``.
        """
        tag = self.core.name_tag(one.person)
        known = self._people.get(tag) or self.core.store.find(Kind.PERSON, tag)
        id = secrets.token_bytes(ID_BYTES) if known is None else known.id
        mark = self.core.template_tag(id, self.core.ledger.model, one.picture)
        if known is not None and self._have(mark):
            self.outcomes.append((id, "already", one.crop is not None))
            return
        self._refuse_lookalike(one, id)
        if known is None:
            self._put_person(id, tag, _fields(one), None)
        else:
            self._update(known, one)
        self._put_template(id, mark, one)
        self.outcomes.append((id, "enrolled" if known is None else "added", one.crop is not None))

    def _have(self, mark: bytes) -> bool:
        return mark in self._templates or self.core.store.find(Kind.TEMPLATE, mark) is not None

    def _refuse_lookalike(self, one: Submission, id: bytes) -> None:
        if self.lookalike is None:
            return
        today = date.today()
        for hit in self.core.hits(one.vector, threshold=self.lookalike, limit=2, today=today):
            if hit.person != id:
                name = self.core.fields(hit.person).name
                raise DuplicatePersonError(
                    f"the face of {one.person} is that of {name}, who is enrolled already "
                    f"(score {hit.score:.3f}); add it to {name}, or allow lookalikes"
                )

    def _update(self, known: Record, one: Submission) -> None:
        """A further template for somebody who is there; consent and date become the newer ones."""
        before, first = self.core.opened(known), known.tag not in self._people
        if first and not self.add:
            raise DuplicatePersonError(
                f"{before.name} is enrolled already, since {before.enrolled.date()}; "
                "to give them a further picture, add it"
            )
        if before.expired(date.today()):
            raise ExpiredPersonError(
                f"{before.name} was to be kept until {before.retain_until}; remove them, or give "
                "them a later date first"
            )
        after = replace(before, consent=one.consent, retain_until=one.retain_until)
        if after != before:
            self._put_person(known.id, known.tag, after, known)
        theirs = list(self.core.store.records(Kind.TEMPLATE, person=known.id)) if first else []
        if not any(record.model == self.core.ledger.model for record in theirs):
            # left behind by a migration; nothing will ever compare these again
            self.draft.delete(theirs)

    def _put_person(
        self, id: bytes, tag: bytes, fields: PersonFields, before: Record | None
    ) -> None:
        record = self.core.vault.seal(fields.to_bytes(), Kind.PERSON, id, id, tag=tag)
        self.draft.put(record, instead_of=before)
        self._people[tag] = record

    def _put_template(self, id: bytes, mark: bytes, one: Submission) -> None:
        vault, now = self.core.vault, _now()
        crop = b""
        if one.crop is not None:
            crop = secrets.token_bytes(ID_BYTES)
            self.draft.put(vault.seal(crop_bytes(one.crop), Kind.CROP, crop, id))
        data = TemplateFields(one.vector, one.source, crop, now, one.picture).to_bytes()
        self.draft.put(
            vault.seal(
                data,
                Kind.TEMPLATE,
                secrets.token_bytes(ID_BYTES),
                id,
                model=self.core.ledger.model,
                tag=mark,
                vector=self.core.turned(one.vector),
            )
        )
        self._templates.add(mark)


def checked(core: Core, one: Submission) -> Submission:
    """A submission with name, note and vector in their normal form.

    Raises:
        InputError: one of them is not valid, or the date is in the past.
    """
    if one.retain_until is not None and one.retain_until < date.today():
        raise InputError(f"the retention date {one.retain_until} of {one.person!a} is in the past")
    vector = core.unit_vector(one.vector)
    return replace(
        one,
        person=normal_name(one.person),
        consent=normal_note(one.consent),
        vector=vector,
        picture=one.picture or hashlib.sha256(vector.tobytes()).digest(),
        source="".join(c if c.isprintable() else "?" for c in one.source[-200:]),
    )


def _fields(one: Submission) -> PersonFields:
    return PersonFields(one.person, one.consent, one.retain_until, _now())


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
