from __future__ import annotations

import numpy as np
import pytest

from tests.generation.pictures import discs
from visagist.errors import DataError
from visagist.generation.protocol import CLOSEST, Real, judge, nearest_sheet
from visagist.generation.sets import reduced


def embed(pictures):
    """Eight random projections of the shrunk picture, and how much neighbours differ."""
    matrix = np.random.default_rng(0).standard_normal((8, 16 * 16 * 3)) / 1000
    edges = (np.diff(pictures.astype(float), axis=2) ** 2).mean((1, 2, 3))
    return np.c_[reduced(pictures) @ matrix.T, edges / 300]


@pytest.fixture(scope="module")
def real():
    n = 400
    held = discs(100, 16, seed=1)
    return Real(discs(n, 16), np.full(n, 1 / n), True, held, np.full(100, 0.01))


def test_a_good_set_is_near_the_floor_and_a_bad_one_is_not(real):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (100, 16, 16, 3), np.uint8)
    seen = []
    report, copies = judge(
        {"1": discs(100, 16, seed=9), "8": noise},
        real,
        {"eight": embed},
        identity="eight",
        resamples=10,
        progress=lambda *place: seen.append(place),
    )
    assert max(report["fd_floor"], report["fd_1"]) < report["fd_ruined"] < report["fd_8"]
    assert abs(report["kid_1"]) < report["kid_ruined"] < report["kid_8"]
    assert report["precision"] > 0.7
    assert report["recall"] > 0.7
    assert report["table"]["eight"]["8"]["precision"] == 0
    low, high = report["table"]["eight"]["1"]["fd_interval"]
    assert low < high
    assert report["memorised"] < 0.1
    assert report["high_frequencies"]["ruined"] < report["high_frequencies"]["1"]
    assert report["memorisation"]["1"]["share_by_face"] < 0.1
    assert report["memorisation"]["8"]["nearest_by_face"] > 1
    assert seen[-1] == (400, 400)
    assert [c.name for c in copies] == ["1", "8"]


def test_copied_pictures_are_found_mirrored_too(real):
    made = discs(100, 16, seed=9)
    made[3], made[7] = real.training[42], real.training[17][:, ::-1]
    report, (copies,) = judge({"1": made}, real, {"eight": embed}, resamples=0)
    assert set(copies.samples[:2]) == {3, 7}
    assert dict(zip(copies.samples[:2], copies.training[:2], strict=True)) == {3: 42, 7: 17}
    assert copies.distance[:2].max() < 1e-4
    assert report["memorised"] >= 0.02
    assert report["memorisation"]["1"]["nearest"] == 0
    assert "fd_interval" not in report["table"]["eight"]["1"]
    sheet = nearest_sheet(made, real, copies)
    assert sheet.shape[0] > (CLOSEST // 5) * 32


def test_sets_that_are_too_large_are_refused(real):
    with pytest.raises(DataError, match="16 to 200 can"):
        judge({"1": discs(300, 16)}, real, {"eight": embed})
