import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist.amplify.matching import correlation, features, match, places_of, sample

SIDE = 192


def texture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(SIDE, SIDE, 3)).astype(np.float32)
    picture = 128 + 300 * cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_a_place_is_where_the_pixel_lies():
    picture = texture()
    grid = places_of(np.array([[1.0, 0, 3], [0, 1, -2]]), picture.shape)
    assert np.array_equal(sample(picture, grid)[10:-10, 10:-10], picture[8:-12, 13:-7])
    mask = np.ones((SIDE, SIDE), np.float32)
    assert sample(mask, grid)[:, -3:].max() == 0


@settings(max_examples=4)
@given(
    turn=st.floats(-3, 3),
    scale=st.floats(0.95, 1.05),
    x=st.floats(-5, 5),
    y=st.floats(-5, 5),
)
def test_an_affine_map_is_found_under_other_light(turn, scale, x, y):
    first = texture()
    angle = np.deg2rad(turn)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, SIDE / 2)
    matrix = np.column_stack([linear, middle + np.array([x, y]) - linear @ middle])
    light = np.linspace(0.7, 1.1, SIDE)[:, None, None]
    edited = cv2.warpAffine(first, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    edited = np.clip(edited * light, 0, 255).astype(np.uint8)
    everywhere = np.ones((SIDE, SIDE), np.float32)
    found = match(first, edited, everywhere, everywhere)
    inner = slice(25, -25)
    off = (found.places - places_of(matrix, first.shape))[inner, inner]
    assert np.hypot(off[..., 0], off[..., 1]).mean() < 0.1
    assert found.likeness > 0.8


def test_what_has_no_weight_moves_with_its_surroundings():
    first = texture()
    edited = cv2.warpAffine(first, np.array([[1.0, 0, 2], [0, 1, 1]]), (SIDE, SIDE))
    edited[70:120, 70:120] = texture(9)[70:120, 70:120]  # painted over
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[60:130, 60:130] = 0
    found = match(first, edited, weight, np.ones_like(weight))
    off = found.places - places_of(np.array([[1.0, 0, 2], [0, 1, 1]]), first.shape)
    assert np.abs(off[70:120, 70:120]).max() < 0.3


def test_two_pictures_are_not_alike_and_a_picture_without_structure_stays():
    everywhere = np.ones((SIDE, SIDE), np.float32)
    assert match(texture(), texture(5), everywhere, everywhere).likeness < 0.5
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    found = match(flat, flat, everywhere, everywhere)
    assert np.allclose(found.affine, np.eye(2, 3), atol=1e-3)
    assert found.likeness == pytest.approx(0, abs=1e-3)


def test_features_do_not_see_brightness_or_colour():
    picture = texture()
    dull = np.clip(picture * 0.8 + 15, 0, 255).astype(np.uint8)
    assert correlation(features(picture), features(dull))[10:-10, 10:-10].min() > 0.95
