from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.pictures import discs
from visagist.errors import DataError
from visagist.generation.sets import draw, draw_sets, reduced, ruined, sharpness


def test_draws_follow_the_weights():
    """Of a source with half of the weight comes about half of a small draw."""
    weights = np.r_[np.full(100, 0.5 / 100), np.full(9900, 0.5 / 9900)]
    share = np.mean([(draw(weights, 20, seed=s) < 100).mean() for s in range(200)])
    assert share == pytest.approx(0.48, abs=0.03)  # a little less: none comes twice


def test_pictures_that_are_never_shown_are_never_drawn():
    weights = np.r_[np.zeros(50), np.full(50, 0.02)]
    assert set(draw(weights, 1000)) == set(range(50, 100))


@settings(max_examples=30, deadline=None)
@given(st.integers(32, 300), st.integers(0, 5))
def test_no_picture_is_in_both_sets(n, seed):
    weights = np.random.default_rng(seed).random(n) + 0.01
    sets = draw_sets(weights / weights.sum(), 16, seed=seed)
    assert len(sets.reference) == len(sets.floor) == 16
    assert len({*sets.reference.tolist(), *sets.floor.tolist()}) == 32


def test_too_few_pictures_are_refused_with_how_many_there_are():
    with pytest.raises(DataError, match="16 to 50 can"):
        draw_sets(np.full(100, 0.01), 51)


def test_ruined_pictures_lose_their_edges_and_keep_their_mean():
    pictures = discs(4, 64)
    worse = ruined(pictures)
    box = (2, 2, 62, 62)
    assert worse.shape == pictures.shape
    assert sharpness(worse, box) < 0.2 * sharpness(pictures, box)
    assert abs(worse.astype(float).mean() - pictures.mean()) < 1


def test_sharpness_is_the_squared_laplacian_of_lightness():
    picture = np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)
    luma = picture.astype(float) @ [0.299, 0.587, 0.114]
    wanted = [
        (luma[y - 1, x] + luma[y + 1, x] + luma[y, x - 1] + luma[y, x + 1] - 4 * luma[y, x]) ** 2
        for y in range(3, 6)
        for x in range(2, 7)
    ]
    assert sharpness(picture[None], (2, 3, 7, 6)) == pytest.approx(np.mean(wanted))


def test_reduced_pictures_are_means_of_blocks():
    picture = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), np.uint8)
    found = reduced(picture, 16).reshape(16, 16, 3)
    assert found[3, 5] == pytest.approx(picture[0, 6:8, 10:12].mean((0, 1)), abs=0.51)
