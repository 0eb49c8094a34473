"""Makes a calibration: how often do strangers reach each score?

Everything is counted by people, not by pictures. Two people are one trial however many pictures
they have (the mean over their pairs of pictures), so that somebody with hundreds of pictures does
not decide alone. A stranger's search of a gallery is counted exactly: when m of the other P - 1
people reach a score against this picture, then of all galleries of n people the share

    1 - C(P - 1 - m, n) / C(P - 1, n)

returns somebody (sampling without replacement), and no gallery has to be drawn. People resemble
some more than others, so this is another number than 1 - (1 - FAR)^n, which takes them for alike.

Intervals are the wider one of two: the exact binomial one, and the 2.5 and 97.5 % quantiles over
resampled people, since all pairs of a person depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from visagist.recognition.calibration import Calibration, Counts, Curve, GalleryCurve
from visagist.recognition.rates import binomial_interval, far_threshold
from visagist.recognition.tail import Tail, fit_tail
from visagist.recognition.trials import (
    HIGHEST_RATE,
    Floats,
    Ints,
    Pairs,
    PeopleSet,
    Vectors,
    choose_people,
    impostor_pairs,
    pair_weights,
    returned_share,
    running,
    searches,
    some_impostors,
)

_STEP = 1e-6
"""Thresholds are multiples of this, just above a score that must not match."""
_PER_DECADE = 12
_EXACT = 40
"""Highest scores of strangers that are thresholds of their own."""
_RESAMPLES = 200
_MANY = 500
_TAIL_SHARE, _TAIL_MOST = 0.01, 4000


def calibrate(
    vectors: Vectors,
    people: Sequence[str],
    *,
    model_id: str,
    data: str,
    refused: Mapping[str, int] | None = None,
    gallery_sizes: Sequence[int] = (),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Measure thresholds on people.

    Args:
        vectors: (n, d) float32 unit vectors, one a picture.
        people: (n,) who is on each picture.
        model_id: what made the vectors.
        data: what the pictures are, in words.
        refused: how many further pictures could not be used, by reason.
        gallery_sizes: sizes of special interest, beside 1, 2, 5, 10, 20 and so on.
        seed: of the resampled people.
        progress: called with steps done and in all.

    Raises:
        InputError: shapes do not fit, or a vector is not of unit length.
        CalibrationError: fewer than ten people.
    """
    found = choose_people(vectors, people, seed)
    pairs, level, total = impostor_pairs(found)
    weight = pair_weights(found, pairs)
    people_pairs = found.people * (found.people - 1) / 2
    nodes = _nodes(pairs.score, weight, people_pairs, level)
    at = np.searchsorted(-pairs.score, -nodes, side="right")  # pairs at or above each node
    draws = _draws(found.people, seed)
    sizes = _sizes(found.people, gallery_sizes)
    steps = len(draws) + 4
    progress(1, steps)
    far = _far_curve(found, pairs, weight, at, draws)
    tail = _tail(found, pairs, weight, draws)
    progress(2, steps)
    genuine, tar = _genuine(found, nodes, draws)
    galleries = _gallery_curves(
        found,
        pairs,
        nodes=nodes,
        sizes=sizes,
        draws=draws,
        progress=lambda done: progress(2 + done, steps),
    )
    progress(steps, steps)
    several = found.pictures_of > 1
    return Calibration(
        model_id=model_id,
        data=data,
        counts=Counts(
            people=found.people,
            pictures=len(found.person),
            mated_people=int(several.sum()),
            genuine_pairs=len(genuine),
            impostor_pairs=total,
            refused=dict(refused or {}),
        ),
        thresholds=tuple(nodes.tolist()),
        far=far,
        galleries=galleries,
        tar=tar,
        impostor_quantiles=_quantiles(some_impostors(found, seed)),
        genuine_quantiles=_quantiles(genuine),
        tail=tail,
    )


def _nodes(score: Floats, weight: Floats, total: float, level: float) -> Floats:
    """Rising thresholds: some for each decade of FAR, and one above each of the highest scores."""
    rest = total - float(weight.sum())
    scores, weights = np.append(score, level), np.append(weight, max(rest, 0.0))
    rates = HIGHEST_RATE * 10 ** -np.arange(0, np.log10(HIGHEST_RATE * total), 1 / _PER_DECADE)
    inner = [far_threshold(scores, float(rate), weights) for rate in rates]
    barred = np.concatenate([inner, score[:_EXACT]])
    return np.unique((np.floor(barred / _STEP) + 1) * _STEP).round(6)


def _draws(people: int, seed: int) -> Floats:
    """(resamples, people) how often each person is drawn."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, np.full(people, 1 / people), _RESAMPLES).astype(np.float64)


def _far_curve(found: PeopleSet, pairs: Pairs, weight: Floats, at: Ints, draws: Floats) -> Curve:
    one, other = found.person[pairs.one], found.person[pairs.other]
    total = found.people * (found.people - 1) / 2
    rate = running(weight)[at] / total
    resampled = np.empty((len(draws), len(at)))
    for i, drawn in enumerate(draws):
        every = (drawn.sum() ** 2 - (drawn**2).sum()) / 2
        resampled[i] = running(weight * drawn[one] * drawn[other])[at] / every
    return Curve(**_with_interval(rate, resampled, int(total)))


def _gallery_curves(
    found: PeopleSet,
    pairs: Pairs,
    *,
    nodes: Floats,
    sizes: Sequence[int],
    draws: Floats,
    progress: Callable[[int], None],
) -> tuple[GalleryCurve, ...]:
    """FPIR by threshold for each size of gallery."""
    picture, enrolled, score = searches(found, pairs)
    share = 1 / found.pictures_of[found.person].astype(np.float64)  # of a person, by picture
    returned = returned_share(found.people, sizes)
    ends = [0, *np.searchsorted(-score, -nodes[::-1], side="right").tolist()]  # highest node first
    rates = np.empty((len(draws) + 1, len(nodes), len(sizes)))
    for r, drawn in enumerate([np.ones(found.people), *draws]):
        weight = share * drawn[found.person]
        reached = np.zeros(len(share))
        for k, (start, end) in enumerate(pairwise(ends), 1):
            new = slice(start, end)
            reached += np.bincount(picture[new], drawn[enrolled[new]], minlength=len(share))
            people = np.minimum(reached, found.people - 1).astype(np.int64)
            spread = np.bincount(people, weight)
            rates[r, -k] = spread @ returned[: len(spread)] / weight.sum()
        progress(r + 1)
    return tuple(
        GalleryCurve(
            gallery_size=size, **_with_interval(rates[0, :, i], rates[1:, :, i], found.people)
        )
        for i, size in enumerate(sizes)
    )


def _sizes(people: int, wanted: Sequence[int]) -> list[int]:
    """1, 2, 5, 10 ... and the largest gallery that leaves one stranger, with those wanted."""
    usual = [f * 10**d for d in range(6) for f in (1, 2, 5)]
    return sorted({s for s in [*usual, *wanted, people - 1] if 1 <= s < people})


def _genuine(found: PeopleSet, nodes: Floats, draws: Floats) -> tuple[Floats, Curve | None]:
    """Scores of one person's pictures, and the share that reaches each threshold."""
    starts = np.flatnonzero(np.diff(found.person, prepend=-1))
    scores, person = [], []
    for start, count in zip(starts, found.pictures_of, strict=True):
        own = found.vectors[start : start + count]
        among = (own @ own.T)[np.triu_indices(count, 1)]
        scores.append(among)
        person.append(np.full(len(among), found.person[start]))
    every = np.concatenate(scores).astype(np.float64)
    if not len(every):
        return every, None
    who = np.concatenate(person)
    pairs_of = np.bincount(who, minlength=found.people).astype(np.float64)
    mated = pairs_of > 0
    reached = np.stack(
        [np.bincount(who, every >= node, minlength=found.people)[mated] for node in nodes]
    )
    shares = reached / pairs_of[mated]
    drawn = draws[:, mated]
    drawn = drawn[drawn.sum(1) > 0]
    resampled = (drawn @ shares.T) / drawn.sum(1, keepdims=True)
    return every, Curve(**_with_interval(shares.mean(1), resampled, int(mated.sum())))


def _tail(found: PeopleSet, pairs: Pairs, weight: Floats, draws: Floats) -> Tail | None:
    """The generalised Pareto tail above the score of a FAR of 1 %, and of resampled people."""
    total = found.people * (found.people - 1) / 2
    wanted = min(_TAIL_SHARE * total, _TAIL_MOST)
    end = int(np.searchsorted(np.cumsum(weight), wanted))
    if end >= len(weight):
        return None
    level = float(pairs.score[end])
    excess = pairs.score[:end] - level
    one, other = found.person[pairs.one[:end]], found.person[pairs.other[:end]]
    fits = []
    for i, drawn in enumerate([np.ones(found.people), *draws]):
        weights = weight[:end] * drawn[one] * drawn[other]
        fit = fit_tail(excess[excess > 0], weights[excess > 0])
        if fit is None and i == 0:
            return None
        if fit is not None:
            every = (drawn.sum() ** 2 - (drawn**2).sum()) / 2
            fits.append((float(weights.sum() / every), *fit))
    share, scale, shape = zip(*fits, strict=True)
    return Tail(level=level, share=_short(share), scale=_short(scale), shape=_short(shape))


def _with_interval(rate: Floats, resampled: Floats, trials: int) -> dict[str, tuple[float, ...]]:
    """A curve's fields: the rates and the wider one of both intervals.

    Args:
        rate: (nodes,) shares.
        resampled: (resamples, nodes) the same of resampled people.
        trials: how many comparisons of people, or people, the shares are of.
    """
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    exact = np.array([_binomial(share, trials) for share in rate])
    return {
        "rate": _short(rate),
        "low": _short(np.minimum(np.minimum(low, exact[:, 0]), rate)),
        "high": _short(np.maximum(np.maximum(high, exact[:, 1]), rate)),
    }


def _binomial(share: float, trials: int) -> tuple[float, float]:
    """Clopper-Pearson for a share that is a mean over people, so of a whole number of errors.

    Of rare errors only the number counts (Poisson), so the interval is taken of fewer trials with
    as many errors, which costs less. Of many errors it is narrower than that of resampled people.
    """
    errors = share * trials
    if errors > _MANY and trials > _MANY / 0.02:
        return share, share
    low, high = int(np.floor(errors + 1e-9)), int(np.ceil(errors - 1e-9))
    return _exact(low, trials)[0], _exact(min(high, trials), trials)[1]


@lru_cache(maxsize=4096)
def _exact(errors: int, trials: int) -> tuple[float, float]:
    fewer = min(trials, max(4_000, 50 * errors))
    low, high = binomial_interval(errors, fewer)
    return low * fewer / trials, high * fewer / trials


def _quantiles(scores: Floats) -> tuple[float, ...]:
    if not len(scores):
        return ()
    return tuple(np.quantile(scores, np.linspace(0, 1, 101)).round(4).tolist())


def _short(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Six significant digits: further ones would only make the file larger."""
    return tuple(float(f"{v:.6g}") for v in values)
