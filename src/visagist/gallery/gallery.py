"""The gallery as users hold it: enrol, search, list, remove, export, migrate, audit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.gallery.audit import audit
from visagist.gallery.backends import create_store, open_store
from visagist.gallery.core import Core, Entry
from visagist.gallery.crypto import Vault
from visagist.gallery.enrolling import Plan, Submission, checked
from visagist.gallery.exporting import export
from visagist.gallery.ledger import Draft
from visagist.gallery.migrating import migrate
from visagist.gallery.names import normal_name, normal_note
from visagist.gallery.store import GalleryStore, Kind
from visagist.gallery.types import (
    AuditReport,
    Candidate,
    Embedder,
    Enrolment,
    FaceCrop,
    Migration,
    Person,
    Removal,
    SearchResult,
    Threshold,
)

__all__ = ["Gallery", "Submission"]

Vector = NDArray[np.float32]


class Gallery:
    """People, their vectors, and who a face belongs to; strangers are unknown.

    Use :meth:`create` and :meth:`open`. Threads of one process may share a gallery, and processes
    may share its file: each sees what the others wrote.

    Example:
        >>> key = read_key(Path("gallery.key"))  # doctest: +SKIP
        >>> with Gallery.open("staff.gallery", key=key) as gallery:  # doctest: +SKIP
        ...     gallery.search(template.vector, model_id=template.model_id, threshold=0.6)
    """

    def __init__(self, store: GalleryStore, key: bytes) -> None:
        self._core = Core(store, key)

    @classmethod
    def create(
        cls, where: str | os.PathLike[str], *, model_id: str, dimension: int, key: bytes
    ) -> Self:
        """Make an empty gallery for the vectors of one model.

        Args:
            where: a file, or the address of a server.
            model_id: of the model.
            dimension: length of its vectors.
            key: 32 bytes, to be kept elsewhere; without it the gallery is lost.

        Raises:
            GalleryMissingError: something is there already.
            GalleryWriteError: it cannot be written.
        """
        if not 1 <= dimension <= 4096 or not model_id:
            raise InputError("a gallery needs a model's id and the length of its vectors")
        header = Vault.new_header(key)
        draft = Draft(Vault(key, header), None, model=model_id, dimension=dimension)
        first, _ = draft.finish("create", (), {"model": model_id, "dimension": dimension})
        return cls(create_store(where, header, first), key)

    @classmethod
    def open(cls, where: str | os.PathLike[str], *, key: bytes) -> Self:
        """Open a gallery and verify its people and templates.

        Raises:
            GalleryMissingError: there is none.
            GalleryKeyError: it is the key of another gallery.
            GalleryDamagedError: it is torn, or was changed without its key.
        """
        store = open_store(where)
        try:
            return cls(store, key)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Let go of the file and of the vectors in memory."""
        with self._core.lock:
            self._core.store.close()
            self._core.index = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def place(self) -> str:
        """The file or address."""
        return self._core.store.place

    @property
    def model_id(self) -> str:
        """The model whose vectors are in the gallery."""
        return self._core.ledger.model

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._core.ledger.dimension

    @property
    def anchor(self) -> str:
        """``SEQUENCE:HASH`` of the last change, to be kept elsewhere for a later audit."""
        return self._core.ledger.anchor

    def __len__(self) -> int:
        """How many people are stored, expired ones among them."""
        with self._core.lock:
            self._core.refresh()
            return self._core.ledger.sets[Kind.PERSON].count

    def matchable(self, today: date | None = None) -> int:
        """How many people can be matched: the gallery size that a threshold is for."""
        with self._core.lock:
            self._core.refresh()
            return self._core.matchable(today or date.today())

    def enroll(
        self,
        person: str,
        vector: Vector,
        *,
        model_id: str,
        consent: str,
        retain_until: date | None,
        crop: FaceCrop | None = None,
        source: str = "",
        picture: bytes = b"",
        add: bool = False,
        lookalike: float | None = None,
    ) -> Enrolment:
        """Enrol a person, or with ``add`` give an enrolled one a further template.

        It is one transaction: afterwards all of it is on the disk, before that nothing.

        Args:
            person: name; spelling differences in case and width make no other person.
            vector: (dimension,) float32 unit vector.
            model_id: the model that made it.
            consent: what the person agreed to, and where that is on record.
            retain_until: last day on which the person may be matched; ``None`` for no end. With
                ``add``, this and the note replace what was there.
            crop: the picture to keep for a later model, if the person agreed to that.
            source: name of the picture.
            picture: a digest of it, by which :meth:`has` finds it again; by default the vector's.
            add: whether the person may be in the gallery already.
            lookalike: least cosine at which the face is taken to be that of somebody else in the
                gallery, which is refused; ``None`` not to look.

        Raises:
            ModelMismatchError: the vector is another model's.
            DuplicatePersonError: the person is enrolled and ``add`` is False, or the face is that
                of somebody who is enrolled under another name.
            ExpiredPersonError: the person's own retention date has passed.
            InputError: a name, note, date or vector that is not valid.
            GalleryWriteError, GalleryConflictError: it could not be written.
        """
        one = Submission(person, vector, consent, retain_until, crop, source, picture)
        return self.enroll_many([one], model_id=model_id, add=add, lookalike=lookalike)[0]

    def enroll_many(
        self,
        submissions: Sequence[Submission],
        *,
        model_id: str,
        add: bool = False,
        lookalike: float | None = None,
    ) -> list[Enrolment]:
        """Enrol several faces in one transaction, all or none; see :meth:`enroll`."""
        core = self._core
        planned: list[Plan] = []

        def plan(draft: Draft) -> Entry | None:
            core.refuse_other_model(model_id)
            faces = [checked(core, one) for one in submissions]
            planned[:] = [Plan(core, draft, add, lookalike)]
            for one in faces:
                planned[0].take(one)
            people = dict.fromkeys(
                id for id, status, _ in planned[0].outcomes if status != "already"
            )
            details = {"templates": planned[0].templates}
            return Entry(planned[0].action, people, details) if people else None

        with core.lock:
            core.change(plan)
            done = planned[0]
            return [Enrolment(core.whole_person(id), s, kept) for id, s, kept in done.outcomes]

    def search(
        self,
        vector: Vector,
        *,
        model_id: str,
        threshold: float | Threshold,
        top: int = 1,
        today: date | None = None,
    ) -> SearchResult:
        """Who a face belongs to, among those who can be matched.

        Args:
            vector: (dimension,) float32 unit vector.
            model_id: the model that made it.
            threshold: least cosine of a match, or a calibrated threshold, best for
                :meth:`matchable` people.
            top: at most so many candidates.
            today: people whose retention date is before it are passed over.

        Raises:
            ModelMismatchError: the vector is another model's.
            InputError: a vector or threshold that is not valid.
        """
        core, day = self._core, today or date.today()
        value, rate, size = (
            (float(threshold), None, None)
            if isinstance(threshold, int | float)
            else (threshold.value, threshold.rate, threshold.gallery_size)
        )
        if not -1 <= value <= 1 or top < 1:
            raise InputError(f"a threshold is from -1 to 1, not {value}; top is at least 1")
        with core.lock:
            core.refresh()
            core.refuse_other_model(model_id)
            unit = core.unit_vector(vector)
            hits = core.hits(unit, threshold=value, limit=top, today=day)
            candidates = tuple(
                Candidate(core.fields(hit.person).name, hit.person.hex(), round(hit.score, 3))
                for hit in hits
            )
            searched = core.matchable(day)
        if size is None or size < searched:
            rate = None
        return SearchResult("known" if candidates else "unknown", candidates, value, rate, searched)

    def people(self) -> list[Person]:
        """Everybody who is stored, in the order of their enrolment, expired people too."""
        with self._core.lock:
            self._core.refresh()
            return self._core.everybody()

    def person(self, name: str) -> Person:
        """One person, by name or by the 32 digits of their id.

        Raises:
            UnknownPersonError: there is nobody of this name.
        """
        with self._core.lock:
            self._core.refresh()
            return self._core.whole_person(self._core.lookup(name).id)

    def id_of(self, name: str) -> str | None:
        """The id of a person of this name, ``None`` if there is nobody.

        Raises:
            InputError: it is no name.
        """
        with self._core.lock:
            record = self._core.find(normal_name(name))
        return None if record is None else record.id.hex()

    def has(self, person: str, picture: bytes) -> bool:
        """Whether a person is enrolled with a picture of this digest.

        Raises:
            InputError: it is no name.
        """
        core = self._core
        with core.lock:
            core.refresh()
            record = core.find(normal_name(person))
            if record is None:
                return False
            tag = core.template_tag(record.id, core.ledger.model, picture)
            return core.store.find(Kind.TEMPLATE, tag) is not None

    def change(
        self,
        name: str,
        *,
        consent: str | None = None,
        retain_until: date | Literal["unchanged"] | None = "unchanged",
    ) -> Person:
        """Give a person another consent note, or a later, earlier or (``None``) no last day.

        Raises:
            UnknownPersonError: there is nobody of this name.
            InputError: the note is empty.
        """
        core = self._core
        note = None if consent is None else normal_note(consent)
        told: list[bytes] = []

        def plan(draft: Draft) -> Entry:
            record = core.lookup(name)
            before = core.opened(record)
            after = replace(
                before,
                consent=note or before.consent,
                retain_until=before.retain_until if retain_until == "unchanged" else retain_until,
            )
            sealed = core.vault.seal(
                after.to_bytes(), Kind.PERSON, record.id, record.id, tag=record.tag
            )
            draft.put(sealed, instead_of=record)
            told[:] = [record.id]
            return Entry("change", told, {})

        with core.lock:
            core.change(plan)
            return core.whole_person(told[0])

    def remove(self, name: str) -> Removal:
        """Delete a person with all templates and kept pictures, from the file's pages, too.

        Raises:
            UnknownPersonError: there is nobody of this name.
        """
        return self._remove("remove", lambda: [self._core.lookup(name).id])

    def remove_expired(self, today: date | None = None) -> Removal:
        """Delete everybody whose retention date has passed."""
        day, core = (today or date.today()), self._core

        def expired() -> list[bytes]:
            everybody = core.store.records(Kind.PERSON)
            return [record.id for record in everybody if core.opened(record).expired(day)]

        return self._remove("expire", expired)

    def _remove(self, action: str, whom: Callable[[], list[bytes]]) -> Removal:
        core = self._core
        gone: list[bytes] = []
        counts = dict.fromkeys(Kind, 0)

        def plan(draft: Draft) -> Entry | None:
            gone[:] = whom()
            counts.update(
                draft.delete(
                    record
                    for kind in Kind
                    for id in gone
                    for record in core.store.records(kind, person=id)
                )
            )
            return Entry(action, gone, {"templates": counts[Kind.TEMPLATE]}) if gone else None

        with core.lock:
            core.change(plan)
            purged = core.store.purge()
        ids = tuple(id.hex() for id in gone)
        return Removal(ids, counts[Kind.TEMPLATE], counts[Kind.CROP], purged)

    def export(
        self, name: str | None = None, *, vectors: bool = True, crops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Everybody, or one person, as JSON documents in the open; see ``exporting.export``."""
        return export(self._core, name=name, vectors=vectors, crops=crops)

    def migrate(
        self,
        embedder: Embedder,
        *,
        partial: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Migration:
        """Embed kept pictures with another model and go over to it; see ``migrating.migrate``."""
        return migrate(self._core, embedder, partial=partial, progress=progress)

    def audit(self, *, anchor: str | None = None, today: date | None = None) -> AuditReport:
        """Verify everything and say what is due; see ``audit.audit``."""
        with self._core.lock:
            return audit(self._core, anchor=anchor, today=today)
