from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visagist.errors import InputError
from visagist.recognition.rates import (
    binomial_interval,
    bootstrap,
    det_curve,
    far_threshold,
    fnir_at_fpir,
    measurable,
    needed_trials,
    rank1,
    rule_of_three,
    search,
    tar,
    tar_at_far,
    verification_accuracy,
)

SCORES = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.sampled_from(np.linspace(-1, 1, 41).tolist())
)
RATES = st.floats(0, 1)


def test_threshold_is_the_smallest_score_with_the_wanted_share_strictly_above() -> None:
    impostor = np.arange(100) / 100
    assert far_threshold(impostor, 0.01) == 0.98  # one score of 100 lies above it
    assert far_threshold(impostor, 0) == 0.99
    assert far_threshold(impostor, 0.29) == 0.70  # 0.29 * 100 is 28.999... in binary
    assert far_threshold(impostor, 1) == -math.inf


def test_threshold_keeps_ties_out() -> None:
    assert far_threshold([0.5, 0.5, 0.5, 0.1], 0.25) == 0.5
    assert far_threshold([0.5, 0.5, 0.5, 0.1], 0.75) == 0.1


@given(SCORES, RATES)
def test_threshold_holds_the_rate_and_no_smaller_one_does(scores: np.ndarray, far: float) -> None:
    threshold = far_threshold(scores, far)
    assert tar(scores, threshold) <= far + 1e-9
    if np.isfinite(threshold):
        assert tar(scores, np.nextafter(threshold, -2)) > far


@given(SCORES, RATES, RATES)
def test_threshold_falls_as_more_errors_are_allowed(
    scores: np.ndarray, one: float, other: float
) -> None:
    assert far_threshold(scores, max(one, other)) <= far_threshold(scores, min(one, other))


@given(SCORES, SCORES, RATES, st.randoms(use_true_random=False))
def test_rates_do_not_depend_on_the_order(
    genuine: np.ndarray, impostor: np.ndarray, far: float, random: object
) -> None:
    mixed = impostor.copy()
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert fnir_at_fpir(genuine, impostor, far) == fnir_at_fpir(genuine[::-1], mixed, far)


@given(SCORES, RATES, st.data())
def test_weights_count_a_score_so_many_times(
    scores: np.ndarray, far: float, data: st.DataObject
) -> None:
    times = data.draw(hnp.arrays(np.int64, len(scores), elements=st.integers(0, 4)))
    if not times.any():
        times[0] = 1
    repeated = np.repeat(scores, times)
    assert far_threshold(scores, far, times) == far_threshold(repeated, far)
    assert tar(scores, 0.1, times) == pytest.approx(tar(repeated, 0.1))


def test_bad_scores_are_refused() -> None:
    with pytest.raises(InputError, match="no impostor"):
        far_threshold([], 0.1)
    with pytest.raises(InputError, match="no number"):
        far_threshold([0.1, math.nan], 0.1)
    with pytest.raises(InputError, match="from 0 to 1"):
        far_threshold([0.1], 1.5)
    with pytest.raises(InputError, match="counts"):
        far_threshold([0.1], 0.5, [0])


def test_tar_at_far_says_when_it_cannot_be_measured() -> None:
    impostor = np.linspace(-1, 0, 300)
    assert tar_at_far([0.5, -0.5], impostor, 0.01) == 0.5
    assert tar_at_far([0.5, -0.5], impostor[1:], 0.01) is None


# A gallery of three people (c has two samples) searched by four probes; d is a stranger.
HAND = np.array(
    [
        [0.9, 0.2, 0.1, 0.3],  # a: right, 0.9 before 0.3
        [0.6, 0.5, 0.1, 0.1],  # b: wrong, a is nearer
        [0.1, 0.2, 0.1, 0.7],  # c: right by its second sample
        [0.1, 0.4, 0.2, 0.0],  # d: nobody
    ]
)
PROBES, GALLERY = ["a", "b", "c", "d"], ["a", "b", "c", "c"]


def test_search_takes_the_best_sample_of_an_identity() -> None:
    mate, other, mated = search(HAND, PROBES, GALLERY)
    assert mate.tolist() == [0.9, 0.5, 0.7, -math.inf]
    assert other.tolist() == [0.3, 0.6, 0.2, 0.4]
    assert mated.tolist() == [True, True, True, False]


def test_rank1_on_a_hand_made_matrix() -> None:
    assert rank1(HAND, PROBES, GALLERY) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="enrolled"):
        rank1(HAND[3:], PROBES[3:], GALLERY)
    with pytest.raises(InputError, match="shape"):
        rank1(HAND[:2], PROBES, GALLERY)


def test_rank1_counts_a_tie_as_wrong() -> None:
    assert rank1([[0.5, 0.5]], ["a"], ["a", "b"]) == 0


def test_fnir_at_fpir_on_a_hand_made_matrix() -> None:
    mated = [0.9, 0.6, 0.5, 0.3]
    strangers = [0.1, 0.2, 0.35, 0.55]
    # one stranger of four may be answered: T is the second best stranger, 0.3 is missed
    assert fnir_at_fpir(mated, strangers, 0.25) == (0.25, 0.35)
    # none may: T is the best stranger, and a mate at or below it is missed
    assert fnir_at_fpir(mated, strangers, 0.0) == (0.5, 0.55)


@given(SCORES, SCORES, RATES, RATES)
def test_fnir_falls_as_more_false_alarms_are_allowed(
    mated: np.ndarray, strangers: np.ndarray, one: float, other: float
) -> None:
    strict, _ = fnir_at_fpir(mated, strangers, min(one, other))
    loose, _ = fnir_at_fpir(mated, strangers, max(one, other))
    assert loose <= strict


@given(SCORES, SCORES)
def test_det_curve_agrees_with_the_rates_and_is_monotone(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    thresholds, false_match, false_non_match = det_curve(genuine, impostor)
    for t, fm, fnm in zip(thresholds, false_match, false_non_match, strict=True):
        assert fm == pytest.approx(tar(impostor, t), abs=1e-12)
        assert fnm == pytest.approx(1 - tar(genuine, t), abs=1e-12)
    assert (np.diff(false_match) < 0).all()
    assert (np.diff(false_non_match) >= 0).all()


def test_verification_sets_the_threshold_on_the_other_folds() -> None:
    # Fold 1 alone would choose a threshold of 0.75, the other fold gives 0.3 and an error in it.
    scores = [0.5, 0.1, 0.9, 0.6]
    same = [True, False, True, False]
    result = verification_accuracy(scores, same, [0, 0, 1, 1])
    assert result.thresholds == (0.75, 0.3)
    assert result.accuracies == (0.5, 0.5)
    assert (result.mean, result.std) == (0.5, 0.0)


def test_verification_of_separated_pairs_is_perfect() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(600) % 2 == 0
    scores = np.where(same, 0.6, 0.1) + rng.uniform(-0.2, 0.2, 600)
    result = verification_accuracy(scores, same, np.arange(600) // 60)
    assert result.mean == 1
    assert len(result.accuracies) == 10
    with pytest.raises(InputError, match="folds"):
        verification_accuracy(scores, same, np.zeros(600))


@given(SCORES, st.data())
def test_best_threshold_is_at_least_as_good_as_any_other(
    scores: np.ndarray, data: st.DataObject
) -> None:
    same = data.draw(hnp.arrays(np.bool_, len(scores)))
    everything = np.concatenate([scores, scores])
    twice = np.concatenate([same, same])
    folds = np.repeat([0, 1], len(scores))
    result = verification_accuracy(everything, twice, folds)  # both folds hold the same pairs
    accuracies = [((scores > t) == same).mean() for t in [-2.0, *scores]]
    assert result.mean == pytest.approx(max(accuracies))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (10, 100, 0.0490047, 0.1762226),  # R: binom.test(10, 100)
        (0, 100, 0.0, 0.0362167),  # 1 - 0.025 ** (1 / 100)
        (5, 10, 0.1870860, 0.8129140),
        (10, 10, 0.6915029, 1.0),
        (1, 10302, 2.457565e-6, 5.407148e-4),
    ],
)
def test_clopper_pearson_against_published_values(k: int, n: int, low: float, high: float) -> None:
    assert binomial_interval(k, n) == pytest.approx((low, high), rel=1e-4, abs=1e-9)


@given(st.integers(1, 400), st.data())
def test_binomial_interval_holds_the_share_and_mirrors(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = binomial_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    mirrored = binomial_interval(n - k, n)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)
    wider = binomial_interval(k, n, 0.99)
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12


def test_binomial_interval_stays_exact_for_a_million_trials() -> None:
    low, high = binomial_interval(0, 1_000_000)
    assert (low, high) == pytest.approx((0, 1 - 0.025**1e-6), rel=1e-6)


def test_binomial_interval_refuses_impossible_counts() -> None:
    for k, n in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(InputError):
            binomial_interval(k, n)
    with pytest.raises(InputError):
        binomial_interval(1, 10, 1.0)


def test_rule_of_three() -> None:
    assert rule_of_three(100) == 0.03
    assert rule_of_three(10_000) == 0.0003
    assert rule_of_three(0) == rule_of_three(2) == 1
    assert needed_trials(0.01) == 300
    assert needed_trials(0.003) == 1000
    assert needed_trials(1e-6) == 3_000_000
    assert measurable(0.01, 300)
    assert not measurable(0.01, 299)
    with pytest.raises(InputError):
        needed_trials(0)


def test_bootstrap_of_a_mean_is_as_wide_as_the_theory_says() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap(lambda w: float(np.average(values, weights=w)), 400, resamples=2000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.012)


def test_bootstrap_sets_the_threshold_anew_and_can_be_repeated() -> None:
    rng = np.random.default_rng(2)
    mated, strangers = rng.normal(0.6, 0.2, 80), rng.normal(0.2, 0.1, 80)
    thresholds: list[float] = []

    def fnir(weights: np.ndarray) -> float:
        value, threshold = fnir_at_fpir(
            mated, strangers, 0.05, mated_weights=weights, non_mated_weights=weights
        )
        thresholds.append(threshold)
        return value

    interval = bootstrap(fnir, 80, resamples=200, seed=3)
    assert len(set(thresholds)) > 3
    assert interval[0] <= fnir_at_fpir(mated, strangers, 0.05)[0] <= interval[1]
    assert bootstrap(fnir, 80, resamples=200, seed=3) == interval


def test_bootstrap_leaves_out_draws_without_a_value() -> None:
    assert bootstrap(lambda w: 1.0 if w[0] else math.nan, 3, resamples=50) == (1.0, 1.0)
    with pytest.raises(InputError, match="no resample"):
        bootstrap(lambda _: math.nan, 3, resamples=5)
