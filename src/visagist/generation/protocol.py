"""How a generator is judged: distances of its sets to real ones, with floors, and memorisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.generation.evaluation import (
    Features,
    Nearest,
    bootstrap,
    frechet_distance,
    high_frequencies,
    kernel_distance,
    manifolds,
    nearest_training,
)
from visagist.generation.sets import draw, draw_sets, reduced, ruined
from visagist.photo.sheet import grid, side_by_side

Bytes = NDArray[np.uint8]
Embed = Callable[[Bytes], Features]
FLOOR, RUINED = "floor", "ruined"
CLOSEST = 20
"""Samples that are shown beside their nearest training picture."""


@dataclass(frozen=True, slots=True)
class Real:
    """What the generator has learned from, and pictures of other people.

    Attributes:
        training: (N, S, S, 3) uint8.
        weights: (N,) how often each was shown.
        mirrored: whether every picture was shown mirrored as well.
        held_out: (M, S, S, 3) of people that were not learned.
        held_weights: (M,) how often each would have been shown.
    """

    training: Bytes
    weights: NDArray[np.float64]
    mirrored: bool
    held_out: Bytes
    held_weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Copies:
    """The samples of a set that are nearest to a training picture.

    Attributes:
        name: of the set.
        samples: (20,) numbers of the samples, the nearest first.
        training: (20,) numbers of their training pictures.
        distance: (20,) mean difference of the shrunk pictures in levels of 255.
        share: of all samples nearer to a training picture than 99 % of held-out pictures are.
        usual: the median of the held-out pictures' distances.
    """

    name: str
    samples: NDArray[np.int64]
    training: NDArray[np.int64]
    distance: NDArray[np.float64]
    share: float
    usual: float


def judge(
    made: Mapping[str, Bytes],
    real: Real,
    spaces: Mapping[str, Embed],
    *,
    identity: str | None = None,
    resamples: int = 30,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Any], list[Copies]]:
    """Distances of every made set, of a floor and of a ruined set to one real reference.

    Args:
        made: sets of equally many pictures by name, the names being numbers of steps.
        real: what they are compared with.
        spaces: embedders by name; the first one gives the flat fields.
        identity: the space in which near means the same person, for a second look at memorisation.
        resamples: of the bootstrap.
        seed: of draws and resamples.
        progress: called with pictures embedded and in all.

    Returns:
        ``fd_NAME`` and ``kid_NAME`` of each set, of ``floor`` and ``ruined``, ``precision`` and
        ``recall`` of the first made set, ``memorised`` (share of samples of the first set nearer to
        a training picture than 99 % of held-out pictures are; about 0.01 without memorisation) and
        ``table`` with everything by space and set; and the nearest training pictures. Distances are
        levels of 255 between shrunk pictures, or those of vectors ``by_face``.

    Raises:
        DataError: there are too few real pictures for two sets of this size.
    """
    first = next(iter(made))
    count = len(made[first])
    sets = draw_sets(real.weights, count, seed=seed)
    floor = real.training[sets.floor]
    pictures = {**made, FLOOR: floor, RUINED: ruined(floor)}
    reference = real.training[sets.reference]
    held = real.held_out[draw(real.held_weights, count, seed=seed)]
    total = len(spaces) * len(pictures) * count
    done = 0
    table: dict[str, Any] = {}
    people: dict[str, Nearest] = {}
    for space, embed in spaces.items():
        known = embed(reference)
        seen = (embed(real.training), embed(held)) if space == identity else None
        table[space] = {}
        for name, some in pictures.items():
            features = embed(some)
            table[space][name] = _measures(known, features, resamples, seed)
            if seen is not None and name in made:
                people[name] = nearest_training(features, *seen)
            done += count
            progress(done, total)
    details = {name: high_frequencies(some) for name, some in pictures.items()}
    copies = [_copies(name, some, real, held) for name, some in made.items()]
    main = table[next(iter(spaces))]
    flat: dict[str, Any] = {}
    for kind in ("fd", "kid"):
        flat |= {f"{kind}_{name}": main[name][kind] for name in pictures}
    flat |= {"precision": main[first]["precision"], "recall": main[first]["recall"]}
    flat |= {"memorised": copies[0].share, "pictures": count, "table": table}
    flat["high_frequencies"] = details
    flat["memorisation"] = {c.name: _memorised(c, people.get(c.name)) for c in copies}
    return flat, copies


def _memorised(copies: Copies, people: Nearest | None) -> dict[str, float]:
    """Shares too near to the training, the nearest one, and the median of held-out pictures."""
    found = {
        "share": copies.share,
        "nearest": round(float(copies.distance[0]), 3),
        "usual": round(copies.usual, 3),
    }
    if people is not None:
        found |= {
            "share_by_face": people.share,
            "nearest_by_face": round(float(people.distance.min()), 3),
            "usual_by_face": round(float(np.median(people.usual)), 3),
        }
    return found


def _measures(real: Features, made: Features, resamples: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, measure in [("fd", frechet_distance), ("kid", kernel_distance)]:
        interval = bootstrap(measure, real, made, repeats=max(2, resamples), seed=seed)
        found[name] = interval.value
        if resamples:
            found[f"{name}_interval"] = [interval.low, interval.high]
    cover = manifolds(real, made)
    found |= {"precision": cover.precision, "recall": cover.recall}
    return found | {"density": cover.density, "coverage": cover.coverage}


def _copies(name: str, made: Bytes, real: Real, held: Bytes) -> Copies:
    training = real.training
    if real.mirrored:
        training = np.concatenate([training, training[:, :, ::-1]])
    found: Nearest = nearest_training(reduced(made), reduced(training), reduced(held))
    size = np.sqrt(reduced(made[:1]).shape[1])  # so that distances are levels a number
    order = np.argsort(found.distance)[:CLOSEST]
    return Copies(
        name=name,
        samples=order.astype(np.int64),
        training=found.index[order] % len(real.training),
        distance=found.distance[order] / size,
        share=found.share,
        usual=float(np.median(found.usual) / size),
    )


def nearest_sheet(made: Bytes, real: Real, copies: Copies) -> Bytes:
    """Samples beside the training pictures nearest to them; it shows pictures of the training."""
    pairs = [
        side_by_side(made[i], real.training[j])
        for i, j in zip(copies.samples, copies.training, strict=True)
    ]
    captions = [f"{i}: {d:.1f}" for i, d in zip(copies.samples, copies.distance, strict=True)]
    side = made.shape[1] * 2
    return grid(pairs, captions, columns=5, cell=(2 * side, side))
