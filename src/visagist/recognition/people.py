"""Known people and unlabelled faces among the faces of several corpora."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import Corpus
from visagist.corpus.index import Record
from visagist.errors import DataError
from visagist.recognition.classifier import UNLABELLED
from visagist.recognition.finetune_config import PeopleConfig
from visagist.recognition.rates import far_threshold

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class People:
    """Who is on the faces of a set.

    Attributes:
        names: identity of each known person; a person's number is its label.
        labels: (N,) int64 of each face: a person's number, or ``UNLABELLED``.
        known: faces with a label.
        unlabelled: faces to be used without one; a face may be in neither.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    known: NDArray[np.int64]
    unlabelled: NDArray[np.int64]


def records_of(corpora: Sequence[Path], keys: Sequence[str]) -> list[Record]:
    """The records of cached faces, in their order.

    Raises:
        DataError: a face is in none of the corpora.
    """
    found = {record.key: record for path in corpora for record in Corpus.open(path).records}
    missing = [key for key in keys if key not in found]
    if missing:
        raise DataError(f"{len(missing)} cached faces are in no corpus given, {missing[0]} first")
    return [found[key] for key in keys]


def person_of(record: Record) -> str:
    """The identity of a face; a picture without one is its own person."""
    return record.origin.person


def sort_people(records: Sequence[Record], config: PeopleConfig) -> People:
    """Divide faces into those of known people and unlabelled ones.

    Faces of people beyond the wanted number, or with too few pictures, are unlabelled. Which people
    and faces come first depends on their names alone, so a larger set holds the smaller ones.

    Raises:
        DataError: fewer than two people are known.
    """
    who = [person_of(record) for record in records]
    kinds = set(config.known_kinds)
    pictures = Counter(
        name
        for name, record in zip(who, records, strict=True)
        if not kinds or record.origin.kind in kinds
    )
    enough = sorted((n for n, count in pictures.items() if count >= config.pictures), key=_place)
    names = tuple(enough[: config.known or None])
    if len(names) < 2:
        raise DataError(
            f"{len(names)} people have {config.pictures} pictures or more; a classifier needs two"
        )
    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number.get(name, UNLABELLED) for name in who], np.int64)
    allowed = set(config.unlabelled_kinds)
    others = [
        i
        for i, record in enumerate(records)
        if labels[i] == UNLABELLED and (not allowed or record.origin.kind in allowed)
    ]
    others.sort(key=lambda i: _place(records[i].key))
    unlabelled = np.array(sorted(others[: config.unlabelled or None]), np.int64)
    return People(names, labels, np.flatnonzero(labels >= 0), unlabelled)


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def mean_faces(vectors: Vectors, labels: NDArray[np.int64], count: int) -> Vectors:
    """(count, d) unit mean of each person's unit vectors; rows of other labels are left out."""
    known = labels >= 0
    unit = _unit(vectors[known])
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, labels[known], unit)
    return _unit(sums)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Unlabelled faces that may show known people after all.

    Attributes:
        threshold: cosine to a centre above which a face is taken for that person.
        fpir: share of known people's faces that are so near to somebody else.
        unlabelled: faces that were looked at.
        dropped: of them, so many were left out.
    """

    threshold: float
    fpir: float
    unlabelled: int
    dropped: int


def without_overlap(people: People, vectors: Vectors, fpir: float) -> tuple[People, Overlap]:
    """Leave out unlabelled faces that are too near to a known person.

    The threshold is calibrated on the known: each of their faces is searched among the centres of
    all *other* people, which is a search of a stranger, and of these the share ``fpir`` may find
    somebody.

    Args:
        people: who is who.
        vectors: (N, d) embeddings of all faces.
        fpir: share of true strangers that are lost.
    """
    centres = mean_faces(vectors, people.labels, len(people.names))
    nearest = _best(vectors[people.known], centres, people.labels[people.known])
    threshold = far_threshold(nearest, fpir)
    distance = _best(vectors[people.unlabelled], centres, None)
    kept = people.unlabelled[distance <= threshold]
    dropped = len(people.unlabelled) - len(kept)
    found = Overlap(threshold, fpir, len(people.unlabelled), dropped)
    return replace(people, unlabelled=kept), found


def _best(vectors: Vectors, centres: Vectors, own: NDArray[np.int64] | None) -> Vectors:
    """(n,) cosine to the nearest centre, the own one left out."""
    out = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 1024):
        part = slice(start, start + 1024)
        cosines = _unit(vectors[part]) @ centres.T
        if own is not None:
            cosines[np.arange(len(cosines)), own[part]] = -2
        out[part] = cosines.max(1)
    return out


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
