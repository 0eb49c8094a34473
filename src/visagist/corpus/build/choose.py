"""Which samples stay and in which split: near-duplicates, then identities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.build.config import BuildConfig
from visagist.corpus.build.gather import Gathered, SampleFiles
from visagist.corpus.duplicates import Grey, compare, comparison_view, likely_pairs
from visagist.corpus.sample import SPLITS
from visagist.corpus.shards import decode_picture, decode_zoom, picture_of
from visagist.corpus.split import HARDEST, Links, assign_splits

_VIEWS = 4096  # grey views of 64 KiB kept while pairs are compared


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two crops that were found to be one picture, or one sitting.

    Attributes:
        one: number of the first sample.
        other: of the second, larger.
        same: one picture, else only alike.
    """

    one: int
    other: int
    same: bool


@dataclass(frozen=True)
class Choice:
    """What becomes of every sample.

    Attributes:
        split: (N,) rank of the split in ``SPLITS``.
        reason: sample -> reason and detail, for those that are dropped.
        pairs: copies that were found.
        alike: pairs of one sitting that were found.
        across: copies that stood under different identities.
    """

    split: NDArray[np.int64]
    reason: dict[int, tuple[str, str]]
    pairs: int
    alike: int
    across: int


def choose(
    gathered: Gathered,
    files: SampleFiles,
    config: BuildConfig,
    progress: Callable[[int, int], None],
) -> Choice:
    """Decide; a pure function of the samples and the config.

    No two samples that were found to be alike end in different splits: their people are put into
    one split, and where given splits forbid that, the copy in the easier split is dropped.

    Args:
        gathered: columns over all samples.
        files: their pictures.
        config: thresholds and shares.
        progress: called with the pairs compared and all pairs.

    Raises:
        DataError: an identity has two given splits, or a chunk is damaged.
    """
    found = find_duplicates(gathered, files, config, progress)
    people, person = gathered.people, gathered.person
    links = {
        (people[person[d.one]], people[person[d.other]])
        for d in found
        if person[d.one] != person[d.other]
    }
    splits = assign_splits(
        gathered.given,
        links | gathered.linked,
        validation=config.splits.validation,
        test=config.splits.test,
        salt=config.splits.salt,
    )
    rank_of = np.array([HARDEST[splits[name]] for name in people], np.int64)
    split = rank_of[person] if len(person) else np.empty(0, np.int64)
    return Choice(
        split=split,
        reason=_dropped(gathered, found, split),
        pairs=sum(d.same for d in found),
        alike=sum(not d.same for d in found),
        across=sum(d.same and bool(person[d.one] != person[d.other]) for d in found),
    )


def find_duplicates(
    gathered: Gathered,
    files: SampleFiles,
    config: BuildConfig,
    progress: Callable[[int, int], None],
) -> list[Duplicate]:
    """Pairs that are one picture or one sitting, in order."""
    index = np.flatnonzero(gathered.compared)
    if not len(index):
        return []
    pairs = likely_pairs(
        gathered.bits[index], gathered.thumbnails[index], radius=config.duplicates.bits
    )

    @lru_cache(maxsize=_VIEWS)
    def view(number: int) -> Grey:
        members = files.members(number)
        return comparison_view(decode_picture(picture_of(members)), decode_zoom(members))

    found = []
    for done, (one, other) in enumerate(index[pairs].tolist(), 1):
        likeness = compare(view(one), view(other))
        same = likeness.least >= config.duplicates.same
        if same or likeness.whole >= config.duplicates.alike:
            found.append(Duplicate(one, other, same))
        progress(done, len(pairs))
    return found


def _dropped(
    gathered: Gathered, found: list[Duplicate], split: NDArray[np.int64]
) -> dict[int, tuple[str, str]]:
    """Sample -> why it goes: an equal key, a copy, or a sitting that two given splits share."""
    reason: dict[int, tuple[str, str]] = {}
    order = np.argsort(gathered.keys, kind="stable")
    again = np.flatnonzero(np.diff(gathered.keys[order]) == 0) + 1
    for k in again.tolist():
        number, first = int(order[k]), int(order[k - 1])
        reason[number] = ("duplicate_name", f"it has the key of {gathered.names[first]}")

    def rank(number: int) -> tuple[bool, int, float, int]:
        # names decide between equal ones, and the first of equal names is the one to keep
        return (
            number not in reason,
            int(split[number]),
            float(gathered.sharpness[number]),
            -number,
        )

    groups = Links(len(gathered))
    for pair in found:
        if pair.same:
            groups.join(pair.one, pair.other)
    members: dict[int, list[int]] = {}
    for number in sorted({n for d in found if d.same for n in (d.one, d.other)}):
        members.setdefault(groups.find(number), []).append(number)
    for group in members.values():
        best = max(group, key=rank)
        for number in group:
            if number != best:
                detail = f"the same picture as {gathered.names[best]}, which is kept"
                reason.setdefault(number, ("near_duplicate", detail))
    for pair in found:
        if split[pair.one] == split[pair.other] or {pair.one, pair.other} & reason.keys():
            continue
        worse, better = sorted((pair.one, pair.other), key=rank)
        where = SPLITS[int(split[better])]
        detail = f"one sitting with {gathered.names[better]}, which was given to {where}"
        reason[worse] = ("near_duplicate", detail)
    return reason
