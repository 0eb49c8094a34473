"""Exact search: every vector is compared, in blocks that stay in place as the gallery grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.gallery.store import Hit

__all__ = ["ExactIndex", "best_of_each"]

BLOCK = 4096
"""Rows of a block: 2 MiB at 128 numbers. Growing adds a block and copies nothing."""

_ENDLESS = np.iinfo(np.int32).max


class ExactIndex:
    """Unit vectors in memory, several for a person, each person with a last day.

    100,000 vectors of 128 numbers take 51 MB and a hundred bytes a person.

    Args:
        dimension: length of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._blocks: list[NDArray[np.float32]] = []
        self._owner = np.zeros(BLOCK, np.int32)  # slot of the person of each row
        self._rows = 0
        self._ids: list[bytes | None] = []
        self._slots: dict[bytes, int] = {}
        self._free: list[int] = []
        self._last_day = np.zeros(BLOCK, np.int32)  # by slot; proleptic ordinal
        self._templates = np.zeros(BLOCK, np.int32)  # by slot

    def __len__(self) -> int:
        """How many vectors there are."""
        return self._rows

    def __contains__(self, person: bytes) -> bool:
        """Whether a person was set."""
        return person in self._slots

    def set_person(self, person: bytes, last_day: int | None) -> None:
        """Add a person, or change their last day.

        Args:
            person: id.
            last_day: last day on which they may be matched, as ``date.toordinal()``; ``None`` for
                no end.
        """
        slot = self._slots.get(person)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._ids)
            if slot == len(self._ids):
                self._ids.append(person)
            else:
                self._ids[slot] = person
            self._slots[person] = slot
            if slot >= len(self._last_day):
                self._last_day = _doubled(self._last_day)
                self._templates = _doubled(self._templates)
            self._templates[slot] = 0
        self._last_day[slot] = _ENDLESS if last_day is None else last_day

    def add(self, person: bytes, vector: NDArray[np.float32]) -> None:
        """Add a unit vector of a person who was set before."""
        block, row = divmod(self._rows, BLOCK)
        if block == len(self._blocks):
            self._blocks.append(np.zeros((BLOCK, self.dimension), np.float32))
        if self._rows >= len(self._owner):
            self._owner = _doubled(self._owner)
        slot = self._slots[person]
        self._blocks[block][row] = vector
        self._owner[self._rows] = slot
        self._templates[slot] += 1
        self._rows += 1

    def remove(self, person: bytes) -> None:
        """Forget a person; their vectors are overwritten. Nothing happens if there is none."""
        slot = self._slots.pop(person, None)
        if slot is None:
            return
        for row in np.flatnonzero(self._owner[: self._rows] == slot)[::-1]:
            self._rows -= 1
            last = self._blocks[self._rows // BLOCK][self._rows % BLOCK]
            self._blocks[row // BLOCK][row % BLOCK] = last
            self._owner[row] = self._owner[self._rows]
            last[:] = 0
        self._ids[slot] = None
        self._templates[slot] = 0
        self._free.append(slot)

    def matchable(self, today: int) -> int:
        """How many people have a vector and have not expired; ``today`` as an ordinal."""
        used = len(self._ids)
        return int(
            np.count_nonzero((self._templates[:used] > 0) & (self._last_day[:used] >= today))
        )

    def search(
        self, vector: NDArray[np.float32], *, threshold: float, limit: int, today: int
    ) -> list[Hit]:
        """The people whose best vector scores at least ``threshold``.

        Args:
            vector: (dimension,) float32 unit vector.
            threshold: least cosine, -1..1.
            limit: at most so many people.
            today: ordinal; people whose last day is before it are passed over.

        Returns:
            Best first, each person once.
        """
        scores = np.empty(self._rows, np.float32)
        for start in range(0, self._rows, BLOCK):
            end = min(start + BLOCK, self._rows)
            np.dot(self._blocks[start // BLOCK][: end - start], vector, out=scores[start:end])
        rows = np.flatnonzero(scores >= np.float32(threshold))
        owners = self._owner[rows]
        allowed = self._last_day[owners] >= today
        hits = []
        for slot, score in best_of_each(owners[allowed], scores[rows][allowed], limit):
            person = self._ids[slot]
            assert person is not None  # rows of a removed person are gone
            hits.append(Hit(person, score))
        return hits


def best_of_each(
    owners: NDArray[np.int32], scores: NDArray[np.float32], limit: int
) -> list[tuple[int, float]]:
    """The best score of each owner, best first, at most ``limit``; ties by row."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(owners[order], return_index=True)
    best = order[np.sort(first)[:limit]]
    return [(int(owners[i]), float(scores[i])) for i in best]


def _doubled(array: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([array, np.zeros_like(array)])
