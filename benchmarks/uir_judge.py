"""How trainings of the UIR sweep are judged: error rates of people nobody trained with.

Blends: every blended person of the validation people is enrolled with one picture and searched with
the other. Non-mated searches are all of these with their own person left out of the gallery, and
faces of single pictures. Photos: the fixed validation list of the recognition protocol.

Intervals resample people (a blend, a photographed person) and seeds, with the same draws for a
training and for the one that it is compared with. Blends share parents, and so are not independent:
their intervals are somewhat too narrow.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.index import Record
from visagist.face.types import Face
from visagist.recognition import rates
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.evaluation.figures import Trials
from visagist.recognition.evaluation.lists import EvaluationList
from visagist.recognition.evaluation.open_set import HalfSplits
from visagist.recognition.evaluation.pictures import CLEAN, Seen, people, trials
from visagist.recognition.people import person_of

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]

RESAMPLES = 300
METRICS = (
    "fnir_fpir_1e-2",
    "fnir_fpir_3e-3",
    "tar_far_1e-3",
    "tar_far_1e-4",
    "tar_far_1e-5",
    "photos_fnir_fpir_1e-2",
    "photos_tar_far_1e-2",
    "photos_tar_far_1e-3",
)
_KEPT_PAIRS = 5_000
"""Impostor pairs that are kept: more than any FAR here asks for, in every resample."""


@dataclass(frozen=True)
class Searches:
    """Mated and non-mated searches of one gallery, of which people can be drawn again.

    Attributes:
        mate: (n,) score of person i's search with the own enrolled picture.
        non_mated: (m,) best scores of searches of strangers, largest first.
        who: (m,) the person who searched.
        impostor: (k,) largest impostor scores, largest first.
        pairs: (k, 2) whose.
        people: enrolled people; strangers are numbered after them.
        total: everybody.
    """

    mate: Floats
    non_mated: Floats
    who: NDArray[np.int64]
    impostor: Floats
    pairs: NDArray[np.int64]
    people: int
    total: int

    @classmethod
    def of(cls, enrolled: Vectors, probes: Vectors, strangers: Vectors) -> Searches:
        """Searches of unit vectors; row i of ``enrolled`` and ``probes`` is person i."""
        n = len(enrolled)
        scores = (probes @ enrolled.T).astype(np.float64)
        among = (enrolled @ enrolled.T).astype(np.float64)
        mate = scores.diagonal().copy()
        np.fill_diagonal(scores, -np.inf)
        np.fill_diagonal(among, -np.inf)
        best = [scores.max(1), among.max(1), (strangers @ enrolled.T).max(1, initial=-1.0)]
        who = [np.arange(n), np.arange(n), n + np.arange(len(strangers))]
        non_mated, whose = np.concatenate(best), np.concatenate(who)
        order = np.argsort(-non_mated, kind="stable")
        flat = scores.ravel()
        kept = min(_KEPT_PAIRS, n * (n - 1))
        top = np.argpartition(-flat, kept - 1)[:kept]
        top = top[np.argsort(-flat[top], kind="stable")]
        return cls(
            mate,
            non_mated[order],
            whose[order],
            flat[top],
            np.stack(np.divmod(top, n), 1),
            n,
            n + len(strangers),
        )

    def fnir(self, fpir: float, weights: Floats) -> float:
        """FNIR at the threshold for ``fpir``."""
        return rates.fnir_at_fpir(
            self.mate,
            self.non_mated,
            fpir,
            mated_weights=weights[: self.people],
            non_mated_weights=weights[self.who],
        )[0]

    def tars(self, fars: Sequence[float], weights: Floats) -> list[float]:
        """TAR at each FAR; NaN where the kept pairs do not reach."""
        own = weights[: self.people]
        above = np.cumsum(own[self.pairs[:, 0]] * own[self.pairs[:, 1]])
        pairs = own.sum() ** 2 - (own**2).sum()
        places = [int(np.searchsorted(above, far * pairs + 1e-9, side="right")) for far in fars]
        return [
            rates.tar(self.mate, float(self.impostor[place]), own)
            if place < len(self.impostor)
            else float("nan")
            for place in places
        ]


@dataclass(frozen=True)
class Judged:
    """What is kept of a training.

    Attributes:
        blends: enrolled, probes and strangers of the blends, (n, d), (n, d) and (k, d).
        photos: vectors of the validation list's pictures, in its order.
        told: other numbers of the training.
    """

    blends: tuple[Vectors, Vectors, Vectors]
    photos: Vectors
    told: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        part = path.with_suffix(".part.npz")
        enrolled, probes, strangers = self.blends
        np.savez(
            part,
            enrolled=enrolled,
            probes=probes,
            strangers=strangers,
            photos=self.photos,
            told=np.array(json.dumps(self.told)),
        )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Judged:
        """Read what was written."""
        with np.load(path, allow_pickle=False) as s:
            blends = (s["enrolled"], s["probes"], s["strangers"])
            return cls(blends, s["photos"], json.loads(str(s["told"])))

    def resampled(self, fixed: EvaluationList) -> Floats:
        """(1 + RESAMPLES, metrics): of the people as they are, then of people drawn again."""
        found = Searches.of(*self.blends)
        seen = Seen(
            {("tail", CLEAN, e.file): v for e, v in zip(fixed.entries, self.photos, strict=True)}
        )
        photos = PhotoSearches.of(fixed, seen, fixed.unions()["both"])
        rows = []
        for blends, photographed in zip(
            weights(found.total, 1), weights(photos.trials.people, 2), strict=True
        ):
            rows.append(
                [
                    *(found.fnir(fpir, blends) for fpir in (1e-2, 3e-3)),
                    *found.tars((1e-3, 1e-4, 1e-5), blends),
                    photos.halves.fnir(1e-2, photographed),
                    *(photos.tar(far, photographed) for far in (1e-2, 1e-3)),
                ]
            )
        return np.array(rows)


@dataclass(frozen=True)
class PhotoSearches:
    """The photographed people of a fixed list."""

    trials: Trials
    halves: HalfSplits

    @classmethod
    def of(cls, fixed: EvaluationList, seen: Seen, sets: Sequence[str]) -> PhotoSearches:
        """Of some sets of a list, from the vectors of the embedder that is called tail."""
        searched = trials(Embedder("tail", _nothing, 0.0), fixed, seen, sets, CLEAN)
        halves = np.array([fixed.halves[i] for i in people(fixed, sets)]).T
        return cls(searched, HalfSplits.of(searched, halves))

    @cached_property
    def _pairs(self) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        return self.trials.impostor

    def tar(self, far: float, weights: Floats) -> float:
        """TAR at ``far``."""
        scores, one, other = self._pairs
        pairs = weights[one] * weights[other]
        genuine, who = self.trials.genuine
        if not pairs.any() or not weights[who].any():
            return float("nan")
        return rates.tar(genuine, rates.far_threshold(scores, far, pairs), weights[who])


def _nothing(pixels: NDArray[np.uint8], face: Face) -> Vectors:
    raise NotImplementedError("the vectors are there already")


def weights(people: int, seed: int) -> Floats:
    """(1 + RESAMPLES, people) how often each person counts; the first row is everybody once."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(people, np.full(people, 1 / people), RESAMPLES)
    return np.concatenate([np.ones((1, people)), drawn.astype(np.float64)])


def blend_rows(records: Sequence[Record]) -> tuple[list[int], list[int], list[int]]:
    """Rows of enrolled pictures, of probes, and of strangers among validation faces."""
    who = [person_of(r) for r in records]
    count = Counter(who)
    first: dict[str, int] = {}
    second: dict[str, int] = {}
    order = sorted(range(len(records)), key=lambda i: records[i].key)
    for i in order:
        if records[i].origin.kind == "blend" and count[who[i]] > 1:
            (second if who[i] in first else first).setdefault(who[i], i)
    names = sorted(second)
    strangers = [i for i in order if count[who[i]] == 1]
    return [first[n] for n in names], [second[n] for n in names], strangers


def summary(found: Sequence[Floats], base: Sequence[Floats] | None) -> dict[str, Any]:
    """Means over seeds with intervals, and differences to the baseline of the same seeds.

    Args:
        found: (1 + RESAMPLES, metrics) for each seed.
        base: the same of the baseline, or nothing.
    """
    values = np.stack(found)
    report: dict[str, Any] = {}
    for m, name in enumerate(METRICS):
        report[name] = spread(values[:, :, m])
        report[name]["by_seed"] = [round(float(v), 4) for v in values[:, 0, m]]
        if base is not None:
            report[name]["gain"] = spread((values - np.stack(base))[:, :, m])
    return report


def spread(values: Floats) -> dict[str, Any]:
    """Mean over seeds, and the 95 % interval over drawn people and seeds.

    Args:
        values: (seeds, 1 + RESAMPLES); the first column is of the people as they are.
    """
    seeds = np.random.default_rng(3).integers(len(values), size=(RESAMPLES, len(values)))
    drawn = np.array([values[chosen, 1 + i].mean() for i, chosen in enumerate(seeds)])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, (0.025, 0.975)) if len(drawn) else (np.nan, np.nan)
    return {
        "value": round(float(values[:, 0].mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
    }
