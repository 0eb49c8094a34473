"""The fixed pairs of test people, by a rule instead of a list, so that no name is published.

Within each folder people are sorted by the SHA-256 of their identity; the target of pair (i, k) is
person i, its source person i + k. A person's first picture is enrolled and used as source, the last
one is the target; where there is one picture it is both, in different pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visagist.corpus.labelled import LabelledFace, sample_faces
from visagist.errors import DataError, InputError
from visagist.face.topology import N_SKIN_POINTS

__all__ = ["FOLDERS", "LISTS", "Pair", "PairList", "pair_list"]

FOLDERS = ("generated", "london", "portraits")
LISTS: Mapping[tuple[str, int], str] = {
    ("validation", 1): "3c143b351afc8a0f0ed2273ecedaf94df99b6e417f030bdf385ce9fde86da819",
    ("validation", 3): "20c1ccfeb2ca8267b600248b8ed068045c27e8ff158edb1c40f17295be94866b",
    ("test", 1): "749347252a1eacc6841d8ed2059e511131387e2b1a8e899659c28de235fd9880",
    ("test", 3): "fbbd6a249bd1069b7f6a6ce364ff600aad6e53d7d0e96fc5af2934fc1bd47601",
}
"""SHA-256 of the lists that our figures are of, by split and rounds; other data gives others."""

_MOST_YAW = 45.0
_LEAST_WIDTH = 64.0
"""Pixels between a face's sides below which a picture cannot be judged."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Whose face goes where.

    Attributes:
        source: picture that gives the identity.
        target: picture that gives everything else.
        shift: how many people lie between them; 1 in the first round.
    """

    source: LabelledFace
    target: LabelledFace
    shift: int


@dataclass(frozen=True, slots=True)
class PairList:
    """Pairs, and the people among whom a source is looked for.

    Attributes:
        pairs: folder by folder, round by round.
        enrolled: the first picture of each person.
        second: another picture of each person who has one.
        left_out: pictures that cannot be judged, by reason.
    """

    pairs: tuple[Pair, ...]
    enrolled: tuple[LabelledFace, ...]
    second: tuple[LabelledFace, ...]
    left_out: Mapping[str, int]

    @property
    def sha256(self) -> str:
        """Digest of the names in their order."""
        lines = [f"{pair.source.name} {pair.target.name}" for pair in self.pairs]
        lines += [face.name for face in (*self.enrolled, *self.second)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def pair_list(
    data: Path,
    *,
    split: str = "test",
    folders: Sequence[str] = FOLDERS,
    rounds: int = 3,
    limit: int | None = None,
) -> PairList:
    """The pairs of one split.

    Args:
        data: labelled tree.
        split: test, validation or train.
        folders: those that the tree lacks are left out; people never meet across folders.
        rounds: pairs for each target.
        limit: at most so many pairs, evenly spread; everybody stays enrolled.

    Raises:
        InputError: no round.
        DataError: the tree cannot be read, or no folder holds two people.
    """
    if rounds < 1:
        raise InputError(f"pairs need at least one round, not {rounds}")
    left_out: dict[str, int] = {}
    people: dict[str, dict[str, list[LabelledFace]]] = {}
    for face in sample_faces(data, folders=folders, split=split):
        if reason := _fault(face):
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            folder = face.name.split("/")[0]
            people.setdefault(folder, {}).setdefault(face.identity, []).append(face)
    pairs, enrolled, second = [], [], []
    for faces in (people[folder] for folder in folders if folder in people):
        order = [faces[i] for i in sorted(faces, key=_digest)]
        enrolled += [own[0] for own in order]
        second += [own[-1] for own in order if len(own) > 1]
        pairs += [
            Pair(order[(i + k) % len(order)][0], own[-1], k)
            for k in range(1, min(rounds, len(order) - 1) + 1)
            for i, own in enumerate(order)
        ]
    if not pairs:
        raise DataError(f"{data}: no two people in {', '.join(folders)} of the split {split}")
    if limit is not None and limit < len(pairs):
        pairs = [pairs[int(i)] for i in np.linspace(0, len(pairs) - 1, limit)]
    return PairList(tuple(pairs), tuple(enrolled), tuple(second), left_out)


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()


def _fault(face: LabelledFace) -> str | None:
    """Why a picture is left out, by its labels alone, so that no model decides about the list."""
    if abs(face.yaw) > _MOST_YAW:
        return "turned"
    if float(np.ptp(face.mesh[:N_SKIN_POINTS, 0])) < _LEAST_WIDTH:
        return "small"
    return None
