"""Thresholds of made people whose true rates of errors can be drawn again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.recognition.made_vectors import made
from visagist.errors import CalibrationError, InputError
from visagist.recognition.calibrating import calibrate
from visagist.recognition.calibration import Calibration
from visagist.recognition.calibration_store import (
    parse_calibration,
    read_calibration,
    user_calibration,
    write_calibration,
)
from visagist.recognition.rates import far_threshold
from visagist.recognition.tail import Tail, fit_tail
from visagist.recognition.trials import returned_share

MODEL = "drawn-1.0-0123456789ab"


def calibrated(vectors, names, **options) -> Calibration:
    return calibrate(vectors, names, model_id=MODEL, data="made", **options)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrated(*made(240, 2))


def test_with_one_picture_a_person_it_is_the_threshold_of_all_pairs():
    vectors, names = made(150, 1)
    calibration = calibrated(vectors, names)
    scores = (vectors @ vectors.T)[np.triu_indices(150, 1)].astype(np.float64)
    for far in (0.05, 0.01, 1e-3):
        found = calibration.threshold(far=far)
        assert (scores >= found.value).mean() <= far
        # a step of the grid above the least threshold there is, and no more
        assert found.value == pytest.approx(far_threshold(scores, far), abs=0.01)
        low, high = found.interval
        assert low <= (scores >= found.value).mean() <= high
        assert found.tar is None


def test_everybody_counts_once_however_many_pictures(calibration):
    """One person's picture copied five times changes nothing about the strangers."""
    vectors, names = made(240, 2)
    more = np.concatenate([vectors, np.repeat(vectors[:2], 4, 0)])
    copied = calibrated(more, [*names, *[names[0]] * 8])
    assert copied.threshold(far=0.01).value == pytest.approx(
        calibration.threshold(far=0.01).value, abs=1e-3
    )
    assert copied.counts.people_pairs == calibration.counts.people_pairs == 240 * 239 // 2
    assert copied.counts.impostor_pairs > calibration.counts.impostor_pairs


@pytest.mark.parametrize("size", [1, 7, 20, 120])
def test_the_fpir_is_that_of_galleries_that_are_drawn(calibration, size):
    vectors, _ = made(240, 2)
    found = calibration.threshold(fpir=0.05, gallery_size=size)
    rng = np.random.default_rng(1)
    table = (vectors @ vectors.T >= np.float32(found.value)).reshape(240, 2, 240, 2).any(3)
    returned = []
    for _ in range(300):
        everyone = rng.permutation(240)
        returned.append(table[everyone[size:]][:, :, everyone[:size]].any(2).mean())
    measured = float(np.mean(returned))
    assert 0.02 < measured <= 0.055
    assert found.interval[0] <= measured <= found.interval[1]
    assert (found.gallery_size, found.method) == (size, "measured")


def test_thresholds_rise_with_the_gallery_and_with_strictness(calibration):
    sizes = [calibration.threshold(fpir=0.1, gallery_size=n).value for n in (1, 3, 10, 30, 100)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    fars = [calibration.threshold(far=f).value for f in (0.1, 0.01, 1e-3, 2e-4)]
    assert fars == sorted(fars) and fars[0] < fars[-1]


def test_the_interval_covers_the_rate_of_people_not_seen():
    """The 95 % interval of a FAR holds for new people in nearly all of 12 calibrations."""
    truth, _ = made(1500, 1, seed=98)
    scores = (truth @ truth.T)[np.triu_indices(1500, 1)]
    covered = 0
    for seed in range(12):
        found = calibrated(*made(60, 1, seed=seed)).threshold(far=0.02)
        covered += found.interval[0] <= float((scores >= found.value).mean()) <= found.interval[1]
    assert covered >= 11


def test_mates_are_counted_by_person(calibration):
    vectors, _ = made(240, 2)
    found = calibration.threshold(far=0.01)
    own = (vectors[::2] * vectors[1::2]).sum(1)
    assert found.tar == pytest.approx(float((own >= found.value).mean()), abs=1e-6)
    assert found.tar_interval[0] <= found.tar <= found.tar_interval[1]
    assert calibration.counts.mated_people == 240


def test_what_the_data_cannot_show_is_refused(calibration):
    pairs = 240 * 239 // 2
    assert calibration.threshold(far=3 / pairs).method == "measured"
    with pytest.raises(CalibrationError, match=r"3,000,000 pairs.* has 28,680.*2,450 people"):
        calibration.threshold(far=1e-6)
    with pytest.raises(CalibrationError, match=r"needs 300 people.*has 240.*60 more"):
        calibration.threshold(fpir=0.01, gallery_size=10)
    with pytest.raises(CalibrationError, match=r"needs 1,001 people.*761 more"):
        calibration.threshold(fpir=0.05, gallery_size=1000)


def test_the_people_asked_for_would_be_enough():
    for far in (1e-3, 1e-4, 3e-6):
        few = calibrated(*made(12, 1))
        with pytest.raises(CalibrationError) as refusal:
            few.threshold(far=far)
        people = int(
            str(refusal.value).split("calibrate with ")[1].split(" people")[0].replace(",", "")
        )
        assert people * (people - 1) / 2 >= 3 / far > (people - 1) * (people - 2) / 2


def test_beyond_the_data_only_when_asked_marked_and_on_the_safe_side():
    """Estimates for fewer errors than 400 people show, at the scores of 1500 others."""
    many, _ = made(1500, 1, seed=99)
    scores = (many @ many.T)[np.triu_indices(1500, 1)].astype(np.float64)
    for seed in range(3):
        few = calibrated(*made(400, 1, seed=seed))
        found = few.threshold(far=1e-5, extrapolate=True)
        assert found.method == "extrapolated"
        assert found.interval[1] <= 1.05e-5
        assert float((scores >= found.value).mean()) <= 1e-5
        assert found.value < far_threshold(scores, 1e-5) + 0.15
        with pytest.raises(CalibrationError):
            few.threshold(far=1e-5)
    assert few.threshold(far=0.01, extrapolate=True).method == "measured"


def test_an_estimate_that_would_need_a_score_above_one_is_refused():
    with pytest.raises(CalibrationError, match="not even an estimate"):
        calibrated(*made(140, 1)).threshold(far=1e-12, extrapolate=True)


def test_a_larger_gallery_is_computed_as_if_people_were_independent(calibration):
    far = -np.expm1(np.log1p(-0.3) / 1000)
    found = calibration.threshold(fpir=0.3, gallery_size=1000, extrapolate=True)
    assert found.method == "independence"
    assert found.value == calibration.threshold(far=far).value
    assert found.interval[0] < 0.3 < found.interval[1]
    beyond = calibration.threshold(fpir=0.01, gallery_size=10_000, extrapolate=True)
    assert beyond.method == "extrapolated" and beyond.value > found.value


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"far": 0.1, "fpir": 0.1, "gallery_size": 3},
        {"fpir": 0.1},
        {"far": 0.1, "gallery_size": 3},
        {"far": 0.0},
        {"far": 1.0},
        {"far": float("nan")},
        {"fpir": 0.1, "gallery_size": 0},
    ],
)
def test_one_rate_that_makes_sense(calibration, asked):
    with pytest.raises(InputError):
        calibration.threshold(**asked)


def test_a_rate_above_those_that_were_measured_is_refused(calibration):
    with pytest.raises(CalibrationError, match="begins at"):
        calibration.threshold(far=0.6)


def test_the_rate_of_a_score_is_never_below_what_was_measured(calibration):
    vectors, _ = made(240, 2)
    person = np.repeat(np.arange(240), 2)
    scores = (vectors @ vectors.T)[person[:, None] < person[None]]
    for score in (0.3, 0.5, 0.7):
        assert calibration.rate_at(score) >= (scores >= score).mean() - 1e-9
    assert calibration.rate_at(1.0) == 0
    assert calibration.rate_at(-1.0) == 1


def test_few_people_are_no_calibration():
    with pytest.raises(CalibrationError, match="at least ten people"):
        calibrated(*made(9, 3))


def test_vectors_that_are_no_unit_vectors():
    vectors, names = made(20, 1)
    with pytest.raises(InputError, match="unit vectors"):
        calibrated(vectors * 2, names)
    with pytest.raises(InputError, match="19 people"):
        calibrated(vectors, names[:-1])


def test_the_same_people_give_the_same_bytes(calibration):
    again = calibrated(*made(240, 2))
    assert again.model_dump_json() == calibration.model_dump_json()


def test_files(calibration, tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path))
    path = user_calibration(MODEL)
    write_calibration(calibration, path)
    assert read_calibration(path, model_id=MODEL) == calibration
    assert [p.name for p in path.parent.iterdir()] == [f"{MODEL}.json"]
    with pytest.raises(CalibrationError, match=f"made for the model {MODEL}.*scores of two models"):
        read_calibration(path, model_id="other-1.0-0123456789ab")
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")


def spoilt(document: dict, **changes) -> bytes:
    return json.dumps(document | changes).encode()


def test_files_that_are_no_calibration(calibration):
    document = json.loads(calibration.model_dump_json())
    for data in (
        b"",
        b"[]",
        spoilt(document, extra=1),
        spoilt(document, format=2),
        spoilt(document, thresholds=document["thresholds"][::-1]),
        spoilt(document, thresholds=document["thresholds"][:-1]),
        spoilt(document, galleries=[]),
        spoilt(document, model_id="../../x"),
    ):
        with pytest.raises(CalibrationError, match="no calibration"):
            parse_calibration(data, "here")


@given(st.integers(2, 60), st.data())
def test_the_share_of_galleries_is_that_of_drawing_without_replacement(people, data):
    size = data.draw(st.integers(1, people - 1))
    reached = data.draw(st.integers(0, people - 1))
    missed = 1.0
    for i in range(size):
        missed *= max(people - 1 - reached - i, 0) / (people - 1 - i)
    assert returned_share(people, [size])[reached, 0] == pytest.approx(1 - missed, abs=1e-9)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_a_tail_is_found_again(shape):
    u = (np.arange(2000) + 0.5) / 2000
    excess = 0.05 * (-np.log(u) if shape == 0 else (u**-shape - 1) / shape)
    scale, found = fit_tail(excess, np.ones(2000))
    assert found == pytest.approx(shape, abs=0.03)
    assert scale == pytest.approx(0.05, rel=0.03)
    tail = Tail(level=0.4, share=(0.01,), scale=(scale,), shape=(found,))
    assert tail.threshold(1e-4) == pytest.approx(0.4 + np.quantile(excess, 0.99), rel=0.02)


def test_a_tail_of_too_few_or_equal_scores_is_none():
    assert fit_tail(np.linspace(0.1, 1, 29), np.ones(29)) is None
    assert fit_tail(np.full(100, 0.2), np.ones(100)) is None


def test_a_rate_above_the_tail():
    with pytest.raises(CalibrationError, match="begins"):
        Tail(level=0.4, share=(0.01,), scale=(0.1,), shape=(0.0,)).threshold(0.5)


def test_a_calibration_of_nothing_is_refused():
    with pytest.raises(ValidationError):
        Calibration(model_id=MODEL)
