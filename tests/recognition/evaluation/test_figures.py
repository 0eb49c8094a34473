from __future__ import annotations

import numpy as np
import pytest

from visagist.recognition import rates
from visagist.recognition.evaluation.figures import (
    Trials,
    accuracy,
    by_group,
    interval,
    short,
    verification,
)


def people(count: int, noise: float, *, seed: int = 0, shots: int = 1) -> Trials:
    """Random people, one enrolled picture and ``shots`` searches each."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(count, 16))

    def shot() -> np.ndarray:
        vectors = true + noise * rng.normal(size=true.shape)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    enrolled = shot()
    probes = np.concatenate([shot() for _ in range(shots)])
    everybody = np.arange(count)
    return Trials(probes @ enrolled.T, np.tile(everybody, shots), everybody, count)


def test_pairs_are_counted_as_in_the_published_table():
    report = verification(people(102, 0.1), resamples=0)
    assert (report["genuine"], report["impostor"]) == (102, 102 * 101)
    assert report["rank1"]["of"] == 102


def test_tar_is_that_of_the_rates_and_null_where_it_cannot_be_shown():
    trials = people(60, 0.8)
    report = verification(trials, resamples=0)
    genuine = np.diag(trials.scores)
    impostor = trials.scores[~np.eye(60, dtype=bool)]
    for far in (1e-2, 1e-3):
        found = report[f"tar_far_{short(far)}"]
        assert found["value"] == pytest.approx(rates.tar_at_far(genuine, impostor, far), abs=1e-5)
    assert 0 < report["tar_far_1e-3"]["value"] < 1
    few = verification(people(20, 0.8), resamples=0)
    assert few["tar_far_1e-2"]["value"] is not None
    assert few["tar_far_1e-3"] == {"value": None, "interval": None, "threshold": None}


def test_the_interval_covers_what_other_people_would_give():
    """Of samples from one population, about 95 of 100 intervals hold the population's value."""
    big = people(600, 0.75, seed=99)
    truth = verification(big, resamples=0)["tar_far_1e-2"]["value"]
    inside = 0
    for seed in range(20):
        low, high = verification(people(60, 0.75, seed=seed), resamples=200)["tar_far_1e-2"][
            "interval"
        ]
        inside += low <= truth <= high
    assert inside >= 16


def test_no_error_among_few_people_is_not_called_certain():
    report = verification(people(40, 0.01), resamples=50)
    assert report["tar_far_1e-2"]["value"] == 1
    assert report["tar_far_1e-2"]["interval"] == pytest.approx([0.9119, 1], abs=1e-4)
    assert interval(lambda _: 0.0, 40, 50) == pytest.approx([0, 0.0881], abs=1e-4)
    assert interval(lambda _: 0.0, 40, 0) is None


def test_accuracy_has_folds_of_different_people():
    assert accuracy(people(40, 0.01)) == {"mean": 1.0, "std": 0.0}
    assert accuracy(people(19, 0.01)) is None
    poor = accuracy(people(100, 3.0))
    assert 0.4 < poor["mean"] < 0.85


def test_a_failure_to_enrol_is_a_rejection():
    trials = people(40, 0.01)
    trials.scores[:, 3] = -np.inf  # the third was never enrolled
    trials.scores[5] = -np.inf  # nothing could be had from this search
    report = verification(trials, resamples=0)
    assert report["tar_far_1e-2"]["value"] == pytest.approx(38 / 40)
    assert report["rank1"]["count"] == 38
    assert report["accuracy"]["mean"] == pytest.approx(1 - 2 / 80)


def test_several_pictures_of_a_person_all_count():
    report = verification(people(20, 0.3, shots=3), resamples=20)
    assert (report["people"], report["genuine"], report["impostor"]) == (20, 60, 60 * 19)


def test_groups_are_compared_inside_themselves_at_one_threshold():
    scores = np.array(
        [
            [0.9, 0.6, 0.1, 0.1],
            [0.2, 0.4, 0.1, 0.1],
            [0.8, 0.1, 0.9, 0.1],
            [0.1, 0.1, 0.1, 0.9],
        ]
    )
    trials = Trials(scores, np.arange(4), np.arange(4), 4)
    first = np.array([True, True, False, False])
    report = by_group(trials, {"a": first, "b": ~first, "one": np.arange(4) == 3}, 0.5)
    assert (report["a"]["fnmr"]["count"], report["a"]["fnmr"]["of"]) == (1, 2)
    assert (report["a"]["fmr"]["count"], report["a"]["fmr"]["of"]) == (1, 2)
    # the match between the groups is neither's
    assert report["b"]["fmr"]["count"] == 0
    assert report["one"]["fmr"] is None


def test_rates_have_short_names():
    assert [short(r) for r in (1e-1, 1e-2, 1e-3, 3e-3)] == ["1e-1", "1e-2", "1e-3", "3e-3"]
