import cv2
import numpy as np
import pytest

from visagist.amplify.cast import fit_cast, match_sharpness, no_cast


def colours(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.uniform(30, 220, (12, 12, 3)).astype(np.float32), (96, 96))
    return np.clip(picture + rng.normal(0, 1, picture.shape), 0, 255).astype(np.float32)


def test_no_cast_changes_nothing():
    picture = colours()
    assert np.allclose(no_cast().undo(picture), picture, atol=1e-3)


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p * [1.1, 1.0, 0.9] + 5,
        lambda p: 255 * (p / 255) ** 0.85,
        lambda p: p.mean(2, keepdims=True) + 0.85 * (p - p.mean(2, keepdims=True)),
    ],
)
def test_a_cast_is_taken_back_where_it_was_not_measured_too(edit):
    before = colours()
    after = np.clip(edit(before), 0, 255).astype(np.float32)
    weight = np.zeros((96, 96), np.float32)
    weight[:, :40] = 1
    cast = fit_cast(before, after, weight)
    left = np.abs(cast.undo(after) - before)[:, 40:].mean()
    assert left < 0.25 * np.abs(after - before)[:, 40:].mean()
    assert cast.pixels == weight.sum()


def test_what_was_retouched_away_does_not_pull():
    before = colours()
    after = before * np.float32(0.9)
    after[:30, :30] = 200
    whole = np.ones((96, 96), np.float32)
    cast = fit_cast(before, after, whole)
    assert np.abs(cast.undo(after) - before)[40:, 40:].mean() < 2


def test_without_pixels_there_is_no_cast():
    picture = colours()
    assert fit_cast(picture, picture * 0.5, np.zeros((96, 96), np.float32)).pixels == 0


def fine(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(96, 96, 3)).astype(np.float32), (0, 0), 0.6)
    return (128 + 60 * noise).astype(np.float32)


def test_a_duller_after_picture_takes_no_detail_away():
    before = fine()
    paint = np.zeros_like(before)
    paint[40:60, 40:60] = [40, -30, -10]
    after = cv2.GaussianBlur(before, (0, 0), 1.3) + paint
    outside = (paint == 0).all(2).astype(np.float32)
    matched, blur = match_sharpness(before, after, outside)
    assert blur == 1.3
    assert np.abs(matched - before)[outside > 0].mean() < 0.1
    assert np.allclose(matched - before, paint, atol=0.5)


def test_a_sharper_after_picture_is_blurred_and_an_equal_one_left():
    sharp = fine()
    before = cv2.GaussianBlur(sharp, (0, 0), 1.0)
    matched, blur = match_sharpness(before, sharp, np.ones((96, 96), np.float32))
    assert blur == -1.0
    assert np.abs(matched - before).mean() < 0.1
    same, none = match_sharpness(sharp, sharp + 3, np.ones((96, 96), np.float32))
    assert none == 0
    assert np.array_equal(same, sharp + 3)
