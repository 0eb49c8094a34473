"""The split by identity: a person is in train, validation or test, never in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from visagist.corpus.sample import SPLITS
from visagist.errors import DataError

# Where a link joins people of different splits, the copy in the later split is the one to keep.
HARDEST = {name: rank for rank, name in enumerate(SPLITS)}


def split_of(identity: str, *, validation: float, test: float, salt: str) -> str:
    """The split of an identity: a pure function of its name.

    Args:
        identity: unique name of the person.
        validation: share of identities.
        test: share of identities.
        salt: another salt deals the same people differently.
    """
    digest = hashlib.sha256(f"{salt}\0{identity}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


class Links:
    """Things that belong together: union-find over numbers."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, one: int) -> int:
        """The smallest number linked to this one."""
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def join(self, one: int, other: int) -> None:
        """Link two numbers, and all that is linked to them."""
        a, b = self.find(one), self.find(other)
        self._parent[max(a, b)] = min(a, b)


def assign_splits(
    given: Mapping[str, set[str]],
    linked: Iterable[tuple[str, str]],
    *,
    validation: float,
    test: float,
    salt: str,
) -> dict[str, str]:
    """The split of every identity.

    A given split wins. People who are linked (one picture under two names, a blend and its
    parents) go where the given ones among them are, the hardest split if they differ, and
    otherwise where the hash of the alphabetically first of them says.

    Args:
        given: identity -> splits that its pictures were given, empty where none.
        linked: pairs of identities; names that are not in ``given`` link others.
        validation: share of identities.
        test: share of identities.
        salt: of the hash.

    Raises:
        DataError: one identity has two given splits, or an unknown one.
    """
    linked = sorted(set(linked))
    names = sorted(set(given) | {name for pair in linked for name in pair})
    number = {name: i for i, name in enumerate(names)}
    links = Links(len(names))
    for one, other in linked:
        links.join(number[one], number[other])
    pinned: dict[int, str] = {}
    own: dict[str, str] = {}
    for name in names:
        splits = given.get(name, set())
        if not splits:
            continue
        if len(splits) > 1:
            raise DataError(
                f"identity {name} is in two splits, {' and '.join(sorted(splits))}: "
                "a person may be in one only; correct the split of the source"
            )
        own[name] = split = next(iter(splits))
        if split not in SPLITS:
            raise DataError(f"identity {name} has the split {split!r}; it must be one of {SPLITS}")
        root = links.find(number[name])
        pinned[root] = max(split, pinned.get(root, split), key=HARDEST.__getitem__)
    found = {}
    for name in given:
        # numbers follow the alphabet, so the smallest number is the first name
        root = links.find(number[name])
        found[name] = (
            own.get(name)
            or pinned.get(root)
            or split_of(names[root], validation=validation, test=test, salt=salt)
        )
    return found
