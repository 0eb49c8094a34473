"""Error rates of a recogniser, and how surely they are known; numpy only.

One rule holds everywhere: a pair matches when its score is strictly above the threshold. The
threshold for a wanted rate is the smallest one at which the share of impostor scores above it is at
most that rate (ISO/IEC 19795-1; NIST FRTE for the open-set terms).

Scores are similarities, of any scale; larger means more alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.errors import InputError

Scores = NDArray[np.float64]

_SLACK = 1e-9
"""Keeps 0.29 of 100 trials at 29 in spite of binary fractions."""


def far_threshold(impostor: ArrayLike, far: float, weights: ArrayLike | None = None) -> float:
    """The smallest threshold with at most the share ``far`` of impostor scores strictly above it.

    Also the threshold for a wanted FPIR, given the best score of every non-mated search.

    Args:
        impostor: (n,) scores of different people.
        far: 0 to 1; 0 gives the largest impostor score.
        weights: (n,) how often each score counts; once without.

    Returns:
        One of the scores, or minus infinity when every score may be above it.

    Raises:
        InputError: there is no score, a score is no number, or ``far`` is outside 0..1.
    """
    if not 0 <= far <= 1:
        raise InputError(f"a rate of errors is from 0 to 1, not {far}")
    scores = _scores(impostor, "impostor")
    order = np.argsort(-scores, kind="stable")
    counted = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    above = np.cumsum(counted[order])
    if above[-1] <= 0:
        raise InputError("no impostor score counts; there is nothing to set a threshold with")
    first_too_many = int(np.searchsorted(above, far * above[-1] + _SLACK, side="right"))
    return float(scores[order[first_too_many]]) if first_too_many < len(scores) else -math.inf


def tar(genuine: ArrayLike, threshold: float, weights: ArrayLike | None = None) -> float:
    """Share of scores strictly above ``threshold``: TAR of genuine scores, FAR of impostor ones.

    Raises:
        InputError: there is no score, or a score is no number.
    """
    scores = _scores(genuine, "genuine")
    counted = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    return float(np.average((scores > threshold).astype(np.float64), weights=counted))


def tar_at_far(genuine: ArrayLike, impostor: ArrayLike, far: float) -> float | None:
    """TAR at the threshold for ``far``; ``None`` where there are too few impostor scores for it.

    Raises:
        InputError: as :func:`far_threshold`.
    """
    if not measurable(far, np.size(impostor)):
        return None
    return tar(genuine, far_threshold(impostor, far))


def fnir_at_fpir(
    mated: ArrayLike,
    non_mated: ArrayLike,
    fpir: float,
    *,
    mated_weights: ArrayLike | None = None,
    non_mated_weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """FNIR of one gallery at the threshold that this gallery needs for ``fpir``.

    Args:
        mated: (n,) for every search of an enrolled person, the score of that person.
        non_mated: (m,) for every search of a stranger, the best score in the gallery.
        fpir: wanted share of strangers' searches that return anybody.
        mated_weights: (n,) how often each mated search counts.
        non_mated_weights: (m,) how often each non-mated search counts.

    Returns:
        FNIR (share of mated searches that do not return the mate) and the threshold.

    Raises:
        InputError: as :func:`far_threshold`.
    """
    threshold = far_threshold(non_mated, fpir, non_mated_weights)
    return 1 - tar(mated, threshold, mated_weights), threshold


def search(
    scores: ArrayLike, probes: ArrayLike, gallery: ArrayLike
) -> tuple[Scores, Scores, NDArray[np.bool_]]:
    """What searches of a gallery return; an identity's score is the best of its samples.

    Args:
        scores: (n, m) similarity of probe and enrolled sample.
        probes: (n,) the person of every probe.
        gallery: (m,) the person of every enrolled sample.

    Returns:
        (n,) the score of the right person, minus infinity where that person is not enrolled;
        (n,) the best score of anybody else, minus infinity where nobody else is enrolled;
        (n,) whether the right person is enrolled.

    Raises:
        InputError: the shapes do not fit, or a score is no number.
    """
    table = np.asarray(scores, np.float64)
    who, enrolled = np.asarray(probes), np.asarray(gallery)
    if table.shape != (len(who), len(enrolled)) or not table.size:
        raise InputError(
            f"scores of shape {table.shape} for {len(who)} probes and {len(enrolled)} samples"
        )
    _scores(table.ravel(), "search")
    same = who[:, None] == enrolled[None]
    mate = np.where(same, table, -np.inf).max(1)
    other = np.where(same, -np.inf, table).max(1)
    return mate, other, same.any(1)


def rank1(scores: ArrayLike, probes: ArrayLike, gallery: ArrayLike) -> float:
    """Closed-set rank-1 rate: mated probes whose own identity scores higher than any other.

    A tie with another identity counts as wrong.

    Raises:
        InputError: as :func:`search`, or no probe is of an enrolled person.
    """
    mate, other, mated = search(scores, probes, gallery)
    if not mated.any():
        raise InputError("no probe is of an enrolled person; rank-1 needs mated probes")
    return float((mate[mated] > other[mated]).mean())


def det_curve(genuine: ArrayLike, impostor: ArrayLike) -> tuple[Scores, Scores, Scores]:
    """Every operating point of a detection error trade-off.

    Args:
        genuine: (n,) genuine (or mated) scores.
        impostor: (m,) impostor (or best non-mated) scores.

    Returns:
        Thresholds (rising, one for each distinct impostor score), the share of impostor scores
        above each, and the share of genuine scores not above each.

    Raises:
        InputError: there is no score, or a score is no number.
    """
    right, wrong = np.sort(_scores(genuine, "genuine")), np.sort(_scores(impostor, "impostor"))
    thresholds = np.unique(wrong)
    false_match = 1 - np.searchsorted(wrong, thresholds, side="right") / len(wrong)
    false_non_match = np.searchsorted(right, thresholds, side="right") / len(right)
    return thresholds, false_match, false_non_match


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a k-fold verification protocol.

    Attributes:
        mean: mean accuracy over the folds, 0..1.
        std: standard deviation over the folds (population, as the published tables use).
        accuracies: (k,) accuracy of each fold at the threshold of the others.
        thresholds: (k,) those thresholds.
    """

    mean: float
    std: float
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]


def verification_accuracy(scores: ArrayLike, same: ArrayLike, folds: ArrayLike) -> Verification:
    """Accuracy of verification, the threshold of each fold chosen on the others (LFW protocol).

    Args:
        scores: (n,) similarity of each pair.
        same: (n,) whether a pair shows one person.
        folds: (n,) the fold of each pair.

    Raises:
        InputError: there are fewer than two folds, or a score is no number.
    """
    values = _scores(scores, "verification")
    truth, fold = np.asarray(same, bool), np.asarray(folds)
    names = np.unique(fold)
    if len(names) < 2 or not len(values) == len(truth) == len(fold):
        raise InputError("verification needs as many scores as labels, in two folds or more")
    thresholds = [_best_threshold(values[fold != f], truth[fold != f]) for f in names]
    accuracies = [
        float(((values[fold == f] > t) == truth[fold == f]).mean())
        for f, t in zip(names, thresholds, strict=True)
    ]
    return Verification(
        float(np.mean(accuracies)), float(np.std(accuracies)), tuple(accuracies), tuple(thresholds)
    )


def _best_threshold(scores: Scores, same: NDArray[np.bool_]) -> float:
    """The threshold with the best accuracy, in the middle between two neighbouring scores."""
    order = np.argsort(scores)
    ranked, truth = scores[order], same[order]
    # i scores lie below the threshold: right are the different pairs among them, and the same
    # pairs among the rest
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum()
    right -= np.concatenate([[0], np.cumsum(truth)])
    cuts = np.concatenate([[ranked[0] - 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1]]])
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    return float(cuts[np.argmax(np.where(possible, right, -1))])


def binomial_interval(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a share of ``k`` in ``n`` independent trials.

    source: Clopper & Pearson 1934. Exact: it covers the true share at least as often as ``level``
    says, whatever that share is. The bounds are found by bisection of the binomial tail.

    Raises:
        InputError: not 0 <= k <= n with n >= 1, or ``level`` is not between 0 and 1.
    """
    if not (0 <= k <= n and n >= 1):
        raise InputError(f"{k} of {n} is no share of trials")
    if not 0 < level < 1:
        raise InputError(f"a confidence level is between 0 and 1, not {level}")
    tail = (1 - level) / 2
    # P(X >= k | p) rises with p; the upper bound is the lower one of the other outcome
    lower = 0.0 if k == 0 else _tail_reaches(k, n, tail)
    upper = 1.0 if k == n else 1 - _tail_reaches(n - k, n, tail)
    return lower, upper


def _tail_reaches(k: int, n: int, tail: float) -> float:
    """The p at which P(X >= k) in n trials is ``tail``."""
    counts = np.arange(k, n + 1, dtype=np.float64)
    # log C(n, i) for i = k..n from the ratio of neighbours, starting at lgamma's value for k
    start = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    ratios = np.log((n - counts[:-1]) / (counts[:-1] + 1))
    choose = start + np.concatenate([[0.0], np.cumsum(ratios)])
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        if p in {low, high}:
            break
        logs = choose + counts * math.log(p) + (n - counts) * math.log1p(-p)
        if float(np.exp(logs).sum()) < tail:
            low = p
        else:
            high = p
    return (low + high) / 2


def rule_of_three(n: int) -> float:
    """Upper 95 % bound (one-sided) on a rate when ``n`` independent trials showed no error."""
    return min(1.0, 3 / n) if n > 0 else 1.0


def needed_trials(rate: float) -> int:
    """How many independent impostor trials a promise of ``rate`` needs by the rule of three.

    Raises:
        InputError: ``rate`` is not above 0 and at most 1.
    """
    if not 0 < rate <= 1:
        raise InputError(f"a promised rate of errors is above 0 and at most 1, not {rate}")
    return math.ceil(3 / rate - _SLACK)


def measurable(rate: float, trials: int) -> bool:
    """Whether ``trials`` impostor trials can show an error rate of ``rate``."""
    return trials >= needed_trials(rate)


def bootstrap(
    statistic: Callable[[Scores], float],
    subjects: int,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic over resampled subjects.

    People are drawn, not scores, since all scores of a person depend on each other. The statistic
    has to set its threshold anew for every draw, so that the doubt about the threshold is in the
    interval.

    Args:
        statistic: from (subjects,) how often each person was drawn, to a number; not a number for
            a draw in which it has no value.
        subjects: how many people there are.
        resamples: how many draws.
        level: coverage of the interval.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        InputError: there is no subject, or no draw has a value.
    """
    if subjects < 1 or resamples < 1:
        raise InputError("a bootstrap needs at least one subject and one resample")
    rng = np.random.default_rng(seed)
    share = np.full(subjects, 1 / subjects)
    draws = (rng.multinomial(subjects, share).astype(np.float64) for _ in range(resamples))
    values = np.array([statistic(draw) for draw in draws])
    values = values[np.isfinite(values)]
    if not len(values):
        raise InputError("no resample of the subjects has a value; there are too few of them")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _scores(values: ArrayLike, what: str) -> Scores:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise InputError(f"there are no {what} scores")
    if np.isnan(scores).any():
        raise InputError(f"a {what} score is no number")
    return scores
