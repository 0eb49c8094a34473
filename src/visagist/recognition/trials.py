"""Comparisons of different people, and searches by strangers, as calibration counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from visagist.errors import CalibrationError, InputError

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PEOPLE = 5000
"""People used at most: their 12 million pairs show a FAR of 2.4e-7."""
MOST_PICTURES = 10
"""Pictures of one person used at most, the first ones."""
HIGHEST_RATE = 0.1
"""Rates above this are nobody's wish; scores below the threshold for it are not kept."""
_BLOCK = 512
_SAMPLE = 400_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of pictures of two people at or above some score, best first."""

    score: Floats
    one: Ints
    other: Ints


@dataclass(frozen=True, slots=True)
class PeopleSet:
    """Pictures by number, with the number of their person."""

    vectors: Vectors
    person: Ints
    people: int

    @property
    def pictures_of(self) -> Ints:
        """(people,) how many pictures each has."""
        return np.bincount(self.person, minlength=self.people).astype(np.int64)


def choose_people(vectors: Vectors, people: Sequence[str], seed: int) -> PeopleSet:
    """Numbered people with at most so many pictures each; too many people are drawn from."""
    if vectors.ndim != 2 or len(vectors) != len(people):
        raise InputError(f"{len(people)} people for vectors of shape {vectors.shape}")
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise InputError("calibration compares unit vectors; one of these has another length")
    names = sorted(set(people))
    if len(names) < 10:
        raise CalibrationError(
            f"a calibration needs at least ten people to compare, there are {len(names)}; give "
            "one folder for each person"
        )
    if len(names) > MOST_PEOPLE:
        kept = np.random.default_rng(seed).choice(len(names), MOST_PEOPLE, replace=False)
        names = [names[int(i)] for i in sorted(kept)]
    number = {name: i for i, name in enumerate(names)}
    used = np.zeros(len(names), int)
    rows = []
    for row, name in enumerate(people):
        i = number.get(name)
        if i is not None and used[i] < MOST_PICTURES:
            used[i] += 1
            rows.append(row)
    person = np.array([number[people[row]] for row in rows], np.int64)
    order = np.argsort(person, kind="stable")
    return PeopleSet(np.asarray(vectors[rows], np.float32)[order], person[order], len(names))


def impostor_pairs(found: PeopleSet) -> tuple[Pairs, float, int]:
    """The highest pairs of pictures of two people, the score they begin at, and how many in all."""
    level = float(np.quantile(some_impostors(found, 0), 1 - HIGHEST_RATE * 1.2))
    scores, ones, others = [], [], []
    total = 0
    for start in range(0, len(found.person), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(found.person)))
        table = found.vectors[rows] @ found.vectors.T
        # each pair once: later pictures of later people
        later = found.person[rows][:, None] < found.person[None]
        total += int(later.sum())
        i, j = np.nonzero(later & (table >= level))
        scores.append(table[i, j].astype(np.float64))
        ones.append(rows[i])
        others.append(j)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    pairs = Pairs(score[order], np.concatenate(ones)[order], np.concatenate(others)[order])
    return pairs, level, total


def some_impostors(found: PeopleSet, seed: int) -> Floats:
    """Scores of pairs of different people: all of a small set, else a drawn part."""
    n = len(found.person)
    if n * (n - 1) // 2 <= _SAMPLE:
        one, other = np.triu_indices(n, 1)
    else:
        one, other = np.random.default_rng(seed).integers(0, n, (2, _SAMPLE))
    different = found.person[one] != found.person[other]
    one, other = one[different], other[different]
    parts = [slice(a, b) for a, b in pairwise([*range(0, len(one), 65536), len(one)])]
    scores = [np.einsum("nd,nd->n", found.vectors[one[p]], found.vectors[other[p]]) for p in parts]
    return np.concatenate(scores).astype(np.float64)


def pair_weights(found: PeopleSet, pairs: Pairs) -> Floats:
    """Every two people weigh 1, shared among their pairs of pictures."""
    count = found.pictures_of[found.person].astype(np.float64)
    return np.asarray(1 / (count[pairs.one] * count[pairs.other]), np.float64)


def searches(found: PeopleSet, pairs: Pairs) -> tuple[Ints, Ints, Floats]:
    """Picture, enrolled person, and the best score between them, best first.

    Every picture is searched, and every other person is enrolled with all pictures.
    """
    picture = np.concatenate([pairs.one, pairs.other])
    enrolled = found.person[np.concatenate([pairs.other, pairs.one])]
    score = np.concatenate([pairs.score, pairs.score])
    order = np.argsort(-score, kind="stable")
    # the first of each picture and person is their best, since the best come first
    _, first = np.unique(picture[order] * found.people + enrolled[order], return_index=True)
    best = order[np.sort(first)]
    return picture[best], enrolled[best], score[best]


def returned_share(people: int, sizes: Sequence[int]) -> Floats:
    """(people, sizes) share of galleries with one of m people, for m = 0, 1, ... people - 1.

    log C(n - m, k) / C(n, k) is the sum over the first m people of log(1 - k / (n - i)).
    """
    others = people - 1
    table = np.empty((people, len(sizes)))
    for column, size in enumerate(sizes):
        left = others - np.arange(others, dtype=np.float64)
        with np.errstate(divide="ignore"):
            steps = np.log(np.maximum(1 - size / left, 0.0))
        table[:, column] = -np.expm1(running(steps))
    return table


def running(values: Floats) -> Floats:
    """Sums of the first 0, 1, ... n values."""
    return np.concatenate([[0.0], np.cumsum(values)])
