from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recognition.evaluation.test_figures import people
from visagist.recognition import rates
from visagist.recognition.evaluation.figures import Trials
from visagist.recognition.evaluation.open_set import HalfSplits, det_points, fixed_list


def halves(count: int, splits: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(count) < count // 2 for _ in range(splits)])


def one_by_one(
    trials: Trials, splits: np.ndarray, fpir: float, weights: np.ndarray | None = None
) -> float:
    """The same with the functions of ``rates``, split by split."""
    times = np.ones(trials.people) if weights is None else weights
    values = []
    for half in splits:
        gallery = half[trials.enrolled]
        mate, _, mated = rates.search(
            trials.scores[:, gallery], trials.probes, trials.enrolled[gallery]
        )
        best = trials.scores[:, gallery].max(1)
        w = times[trials.probes]
        if not w[mated].any() or not w[~mated].any():
            continue
        values.append(
            rates.fnir_at_fpir(
                mate[mated],
                best[~mated],
                fpir,
                mated_weights=w[mated],
                non_mated_weights=w[~mated],
            )[0]
        )
    return float(np.mean(values)) if values else math.nan


@given(st.integers(0, 10**6), st.sampled_from([0.003, 0.01, 0.1, 0.3]), st.booleans())
def test_all_splits_at_once_are_each_split_by_itself(seed, fpir, weighted):
    trials = people(30, 1.0, seed=seed, shots=1 + seed % 2)
    splits = halves(30, 7, seed)
    weights = None
    if weighted:
        weights = np.random.default_rng(seed).multinomial(30, np.full(30, 1 / 30)).astype(float)
    found = HalfSplits.of(trials, splits).fnir(fpir, weights)
    assert found == pytest.approx(one_by_one(trials, splits, fpir, weights))


def test_half_splits_on_a_hand_made_table():
    # a and b enrolled: c's best is .5, d's .3; the mates score .6 and .4
    scores = np.array(
        [[0.6, 0.1, 0.2, 0.1], [0.2, 0.4, 0.1, 0.1], [0.5, 0.1, 0.9, 0.1], [0.3, 0.2, 0.1, 0.9]]
    )
    trials = Trials(scores, np.arange(4), np.arange(4), 4)
    splits = HalfSplits.of(trials, np.array([[True, True, False, False]]))
    assert splits.fnir(0.0) == 0.5  # T = .5, b is missed
    assert splits.fnir(0.5) == 0.0  # one of two strangers may be answered: T = .3
    assert splits.pooled(0.5) == 0.0
    # halfway between .3 and .5: b at .4 is not above it
    assert splits.interpolated(0.5) == 0.5


def test_the_interpolated_threshold_is_kinder_in_small_galleries():
    splits = HalfSplits.of(people(60, 1.2), halves(60, 50))
    assert splits.interpolated(0.01) < splits.fnir(0.01)


def test_pooling_sets_one_threshold_for_all_splits():
    splits = HalfSplits.of(people(60, 1.2), halves(60, 50))
    strangers = splits.stranger[~splits.enrolled]
    mates = np.broadcast_to(splits.mate, splits.stranger.shape)[splits.enrolled]
    expected, _ = rates.fnir_at_fpir(mates, strangers, 0.01)
    assert splits.pooled(0.01) == pytest.approx(expected)


def test_the_report_says_what_one_gallery_can_show():
    report = HalfSplits.of(people(60, 1.2), halves(60, 50)).report(resamples=60)
    assert (report["splits"], report["strangers_a_gallery"]) == (50, 30)
    assert report["fnir_fpir_1e-1"]["shown_by_one_gallery"]
    assert not report["fnir_fpir_1e-2"]["shown_by_one_gallery"]
    for fpir in ("1e-1", "1e-2", "3e-3"):
        entry = report[f"fnir_fpir_{fpir}"]
        assert 0 <= entry["interval"][0] < entry["interval"][1] <= 1
    assert report["fnir_fpir_1e-1"]["value"] <= report["fnir_fpir_3e-3"]["value"]


def test_the_fixed_list_counts_strangers_and_everybody_left_out_once():
    trials = people(60, 0.9)
    rng = np.random.default_rng(5)
    strangers = rng.uniform(-0.5, 0.6, (250, 60))
    names = [f"s{i // 2}" for i in range(250)]
    report = fixed_list(trials, strangers, names, resamples=40)
    assert report["non_mated_searches"] == 250 + 60
    assert (report["strangers"], report["mated_searches"]) == (125, 60)
    _, other, _ = rates.search(trials.scores, trials.probes, trials.enrolled)
    expected, threshold = rates.fnir_at_fpir(
        np.diag(trials.scores), [*strangers.max(1), *other], 0.01
    )
    assert report["fnir_fpir_1e-2"]["value"] == pytest.approx(expected, abs=1e-5)
    assert report["fnir_fpir_1e-2"]["threshold"] == pytest.approx(threshold, abs=1e-5)
    assert report["fnir_fpir_1e-2"]["interval"][0] <= expected
    assert report["fnir_fpir_3e-3"]["value"] is None  # it would take a thousand
    more = fixed_list(trials, strangers, names, resamples=0, among_enrolled=trials.scores)
    assert more["non_mated_searches"] == 250 + 120


def test_no_miss_among_few_enrolled_people_is_not_made_surer_by_many_strangers():
    trials = people(40, 0.01)
    strangers = np.full((300, 40), -0.9)
    names = [f"s{i}" for i in range(300)]
    report = fixed_list(trials, strangers, names, resamples=10)
    assert report["fnir_fpir_1e-1"]["value"] == 0
    assert report["fnir_fpir_1e-1"]["interval"] == pytest.approx([0, 0.0881], abs=1e-4)


def test_a_list_without_strangers_still_leaves_everybody_out_once():
    trials = people(40, 0.9)
    report = fixed_list(trials, np.empty((0, 40)), [], resamples=10)
    assert (report["strangers"], report["non_mated_searches"]) == (0, 40)
    assert report["fnir_fpir_1e-1"]["value"] is not None
    assert report["fnir_fpir_1e-2"]["value"] is None


def test_the_curve_ends_where_no_stranger_is_answered():
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(0.6, 0.2, 100), rng.normal(0.1, 0.2, 1000)
    points = np.array(det_points(genuine, impostor))
    assert len(points) <= 110
    assert (np.diff(points[:, 0]) > 0).all()
    assert points[-1, 1] == 0
    assert points[-1, 2] == pytest.approx((genuine <= impostor.max()).mean(), abs=1e-5)


def test_searches_that_fail_return_nobody_and_a_single_person_has_no_figure():
    trials = people(30, 0.5)
    trials.scores[::3] = -np.inf
    report = HalfSplits.of(trials, halves(30, 10)).report(resamples=20)
    assert report["fnir_fpir_1e-2"]["value"] >= 1 / 4
    assert report["fnir_fpir_1e-1"]["interpolated"] is not None
    alone = HalfSplits.of(people(1, 0.5), np.array([[True], [False]])).report(resamples=20)
    assert alone["fnir_fpir_1e-1"]["value"] is None
    assert alone["fnir_fpir_1e-1"]["interval"] is None
