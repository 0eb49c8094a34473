"""What every operation of a gallery stands on: store, seals, ledger, vectors, and how to change."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.errors import (
    GalleryConflictError,
    GalleryDamagedError,
    InputError,
    ModelMismatchError,
    UnknownPersonError,
)
from visagist.gallery.crypto import Vault
from visagist.gallery.ledger import Draft, Ledger, Tally, chained
from visagist.gallery.names import normal_name, same_name
from visagist.gallery.payload import PersonFields, TemplateFields, entry_from_bytes
from visagist.gallery.search import ExactIndex
from visagist.gallery.store import GalleryStore, Hit, Kind, Record, SearchingStore
from visagist.gallery.types import Person

__all__ = ["Core", "Entry", "unit_vector"]

Vector = NDArray[np.float32]

_ATTEMPTS = 20  # at a change, each after another process was quicker
_ROUNDING = 1e-5  # by which a turned vector's cosine may be off; float32 loses less
_UNIT = 1e-3  # how far from length 1 a vector may be


@dataclass(frozen=True, slots=True)
class Entry:
    """What the log is told of a change."""

    action: str
    people: Collection[bytes]
    details: dict[str, Any]


class _Part(NamedTuple):
    """What a person adds to the sets of people and of templates."""

    person: Tally
    templates: Tally


_NOTHING = _Part(Tally(), Tally())


class Core:
    """An opened gallery below its operations; callers hold ``lock`` around each.

    Attributes:
        store: keeps the records.
        vault: seals and opens them.
        lock: of this object.
        ledger: the head that memory is in step with.
        index: the vectors of the gallery's model; ``None`` when the store searches itself.
    """

    def __init__(self, store: GalleryStore, key: bytes) -> None:
        self.store = store
        self.vault = Vault(key, store.header())
        self.lock = threading.RLock()
        self.index: ExactIndex | None = None
        self._parts: dict[bytes, _Part] = {}
        self._rotation: Vector | None = None
        self.ledger, self._head = self._read_head()
        self._load()

    def _read_head(self) -> tuple[Ledger, tuple[int, bytes]]:
        head = self.store.head()
        return Ledger.opened(self.vault, *head), head

    def refresh(self) -> None:
        """Take in what other processes wrote; next to nothing when they did not.

        Raises:
            GalleryDamagedError: what is there now does not follow from what was there before, or
                is not what was written with the key.
            GalleryConflictError: others kept writing while it was read.
        """
        for attempt in range(_ATTEMPTS):
            try:
                if self.store.head() != self._head and not self._catch_up():
                    self._load()
                return
            except GalleryConflictError:  # of stores without snapshots
                if attempt + 1 == _ATTEMPTS:
                    raise

    def _catch_up(self) -> bool:
        """Read anew the people whom the log's new entries name; False if all must be read."""
        with self.store.reading():
            ledger, head = self._read_head()
            tip, people = self.ledger.tip, dict[bytes, None]()
            for entry in self.store.log(self.ledger.sequence + 1):
                tip = chained(tip, entry)
                data = self.vault.open_numbered(entry.sealed, "log", entry.sequence)
                told = entry_from_bytes(entry.sequence, data)
                people |= dict.fromkeys(bytes.fromhex(person) for person in told.people)
            if tip != ledger.tip:
                raise GalleryDamagedError(
                    f"{self.store.place} was put back to an older copy, or its log was changed; "
                    "open it again if that was you"
                )
            return self._follow(ledger, head, people)

    def _follow(self, ledger: Ledger, head: tuple[int, bytes], people: Iterable[bytes]) -> bool:
        """Read people anew and compare the sets with the new head; False if they do not agree."""
        if self.index is None or ledger.model != self.ledger.model:
            return False
        persons, templates = (self.ledger.sets[kind] for kind in (Kind.PERSON, Kind.TEMPLATE))
        for id in people:
            before = self._parts.pop(id, _NOTHING)
            after = self._read_person(self.index, ledger, id)
            persons = persons.without(before.person).with_(after.person)
            templates = templates.without(before.templates).with_(after.templates)
        if (persons, templates) != (ledger.sets[Kind.PERSON], ledger.sets[Kind.TEMPLATE]):
            return False
        self.ledger, self._head = ledger, head
        return True

    def _read_person(self, index: ExactIndex, ledger: Ledger, id: bytes) -> _Part:
        """A person as the store has them now, into the index."""
        index.remove(id)
        record = self.store.get(Kind.PERSON, id)
        if record is None:
            return _NOTHING  # their templates, if any are left, show in the comparison
        index.set_person(id, PersonFields.last_day(self.vault.open(record)))
        templates = Tally()
        for template in self.store.records(Kind.TEMPLATE, person=id):
            templates = templates.plus(self._index_template(index, ledger, template))
        self._parts[id] = part = _Part(Tally().plus(self.vault.mark(record)), templates)
        return part

    def _index_template(self, index: ExactIndex, ledger: Ledger, record: Record) -> int:
        """Open a template and index it if it is of the gallery's model; returns its mark."""
        data = self.vault.open(record)
        if record.model == ledger.model:
            index.add(record.person, TemplateFields.vector_of(data, ledger.dimension))
        return self.vault.mark(record)

    def _load(self) -> None:
        """Open all people and templates, and compare the sets with the head."""
        with self.store.reading():
            ledger, head = self._read_head()
            if isinstance(self.store, SearchingStore):
                self.ledger, self._head = ledger, head
                return
            index, parts = ExactIndex(ledger.dimension), dict[bytes, _Part]()
            people, templates = Tally(), Tally()
            for record in self.store.records(Kind.PERSON):
                index.set_person(record.id, PersonFields.last_day(self.vault.open(record)))
                mark = self.vault.mark(record)
                parts[record.id] = _Part(Tally(1, mark), Tally())
                people = people.plus(mark)
            ledger.compare(Kind.PERSON, people, self.store.place)
            for record in self.store.records(Kind.TEMPLATE):
                part = parts.get(record.person)
                if part is None:
                    raise _homeless(self.store.place)
                mark = self._index_template(index, ledger, record)
                parts[record.person] = _Part(part.person, part.templates.plus(mark))
                templates = templates.plus(mark)
            ledger.compare(Kind.TEMPLATE, templates, self.store.place)
        self.ledger, self._head, self.index, self._parts = ledger, head, index, parts

    def change(
        self,
        plan: Callable[[Draft], Entry | None],
        *,
        model: str | None = None,
        dimension: int | None = None,
    ) -> bool:
        """Make a change, planned anew each time that another process was quicker.

        Args:
            plan: fills the draft and says what the log is told; ``None`` for nothing to change.
            model: of the gallery from now on, when it changes.
            dimension: of that model's vectors.

        Returns:
            Whether anything was changed. Ledger and index are then in step with it.

        Raises:
            GalleryConflictError: others kept being quicker.
            GalleryWriteError: it could not be written.
        """
        for _ in range(_ATTEMPTS):
            self.refresh()
            draft = Draft(
                self.vault,
                self.ledger,
                model=model or self.ledger.model,
                dimension=dimension or self.ledger.dimension,
            )
            entry = plan(draft)
            if entry is None:
                return False
            change, after = draft.finish(entry.action, entry.people, entry.details)
            try:
                self.store.commit(change)
            except GalleryConflictError:
                continue
            head = (after.sequence, change.head)
            if isinstance(self.store, SearchingStore):
                self.ledger, self._head = after, head
            elif not self._follow(after, head, entry.people):
                self._load()  # another model, or somebody else has written since
            return True
        raise GalleryConflictError(
            f"other programs kept changing {self.store.place}; nothing was changed, try again"
        )

    def refuse_other_model(self, model_id: str) -> None:
        """Raise ModelMismatchError unless a vector of this model belongs here."""
        if model_id != self.ledger.model:
            raise ModelMismatchError(
                f"{self.store.place} holds vectors of {self.ledger.model}, this one is of "
                f"{model_id}; use that model, or `visagist gallery migrate`"
            )

    def unit_vector(self, vector: Vector) -> Vector:
        """A vector of the gallery's model; see :func:`unit_vector`."""
        return unit_vector(vector, self.ledger.dimension)

    def turned(self, vector: Vector) -> Vector | None:
        """The vector as a store that searches gets it; ``None`` for one that does not."""
        if not isinstance(self.store, SearchingStore):
            return None
        if self._rotation is None or len(self._rotation) != len(vector):
            self._rotation = self.vault.rotation(len(vector))
        return np.asarray(self._rotation @ vector, np.float32)

    def hits(self, vector: Vector, *, threshold: float, limit: int, today: date) -> list[Hit]:
        """The people at or above a threshold who have not expired, best first."""
        day = today.toordinal()
        if self.index is not None:
            return self.index.search(vector, threshold=threshold, limit=limit, today=day)
        assert isinstance(self.store, SearchingStore)
        turned = self.turned(vector)
        assert turned is not None
        wanted = limit
        while True:
            found = self.store.search(
                turned, model=self.ledger.model, threshold=threshold - _ROUNDING, limit=wanted
            )
            near = [Hit(hit.person, self._proven(hit.person, vector)) for hit in found]
            near = [hit for hit in near if hit.score >= np.float32(threshold)]
            live = [hit for hit in near if not self.fields(hit.person).expired(today)]
            if len(live) >= limit or len(found) < wanted:
                return sorted(live, key=lambda hit: -hit.score)[:limit]
            wanted *= 4  # expired people stood in the way

    def _proven(self, person: bytes, vector: Vector) -> float:
        """Best score of a person's sealed templates: a store that searches only proposes people.

        So whatever an index misses, or a server makes up, can hide a person and never name one.
        """
        model, dimension = self.ledger.model, self.ledger.dimension
        theirs = self.store.records(Kind.TEMPLATE, person=person, model=model)
        opened = (TemplateFields.vector_of(self.vault.open(record), dimension) for record in theirs)
        return max((float(one @ vector) for one in opened), default=-1.0)

    def matchable(self, today: date) -> int:
        """How many people can be matched; all, where the store searches and knows no dates."""
        if self.index is not None:
            return self.index.matchable(today.toordinal())
        return self.ledger.sets[Kind.PERSON].count

    def find(self, name: str) -> Record | None:
        """The sealed record of a person of this (normal) name."""
        return self.store.find(Kind.PERSON, self.name_tag(name))

    def name_tag(self, name: str) -> bytes:
        """What a person is found by."""
        return self.vault.tag("name", same_name(name))

    def template_tag(self, person: bytes, model: str, picture: bytes) -> bytes:
        """What the template of a person's picture is found by."""
        return self.vault.tag("template", person + picture + model.encode())

    def lookup(self, name: str) -> Record:
        """The sealed record of a person, by name or by the 32 digits of their id.

        Raises:
            UnknownPersonError: there is none; the message gives the nearest name.
            InputError: it is no name.
        """
        record = self.find(normal_name(name))
        if record is None and len(name) == 32:
            try:
                record = self.store.get(Kind.PERSON, bytes.fromhex(name))
            except ValueError:
                record = None  # a name of 32 letters
        if record is None:
            names = (self.opened(r).name for r in self.store.records(Kind.PERSON))
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownPersonError(f"nobody in {self.store.place} is called {name!a}{hint}")
        return record

    def opened(self, record: Record) -> PersonFields:
        """What a person's record says."""
        return PersonFields.from_bytes(self.vault.open(record))

    def fields(self, id: bytes) -> PersonFields:
        """What the record of this id says.

        Raises:
            GalleryDamagedError: there is none.
        """
        record = self.store.get(Kind.PERSON, id)
        if record is None:
            raise _homeless(self.store.place)
        return self.opened(record)

    def whole_person(self, id: bytes) -> Person:
        """A person with the counts of what is stored."""
        models = [
            r.model == self.ledger.model for r in self.store.records(Kind.TEMPLATE, person=id)
        ]
        crops = sum(1 for _ in self.store.records(Kind.CROP, person=id))
        return self.fields(id).person(id, sum(models), len(models) - sum(models), crops)

    def everybody(self) -> list[Person]:
        """All people with their counts, in the order of their enrolment."""
        counts: dict[bytes, list[int]] = {}
        for kind in (Kind.TEMPLATE, Kind.CROP):
            for person, model in self.store.owners(kind):
                place = 2 if kind is Kind.CROP else int(model != self.ledger.model)
                counts.setdefault(person, [0, 0, 0])[place] += 1
        return [
            self.opened(record).person(record.id, *counts.get(record.id, (0, 0, 0)))
            for record in self.store.records(Kind.PERSON)
        ]


def unit_vector(vector: Vector, dimension: int) -> Vector:
    """The vector as float32 of length 1.

    Raises:
        InputError: another shape, not finite, or not of unit length.
    """
    array = np.asarray(vector, np.float32)
    if array.shape != (dimension,):
        raise InputError(f"a vector of {dimension} numbers is needed, got {array.shape}")
    length = float(np.linalg.norm(array))
    if not abs(length - 1) <= _UNIT:  # also catches what is no number
        raise InputError(f"the vector has length {length:.4g}, and needs to have 1")
    return array / np.float32(length)


def _homeless(place: str) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"{place} was changed without its key: it has a template of somebody who is not there; "
        "restore a backup"
    )
