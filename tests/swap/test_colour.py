from __future__ import annotations

import numpy as np
import pytest

from visagist.photo.colour import rgb_to_lab
from visagist.swap.colour import match_light, read, relight


def scene(mean: tuple[int, int, int], spread: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, (64, 64, 1))
    return np.clip(np.array(mean) + noise, 0, 255)


def test_mean_and_spread_of_the_skin_become_the_targets():
    ours = scene((150, 110, 100), 10).astype(np.float32)
    target = scene((190, 150, 130), 11, seed=1).astype(np.uint8)
    skin = np.zeros((64, 64), np.float32)
    skin[16:48, 16:48] = 1
    matched = match_light(ours, target, skin)
    inside = skin > 0
    a, b = (rgb_to_lab(p[inside] / np.float32(255)) for p in (matched, target.astype(np.float32)))
    assert np.abs(a.mean(0) - b.mean(0)).max() < 0.6
    assert a[:, 0].std() == pytest.approx(b[:, 0].std(), rel=0.05)


def test_the_same_picture_is_left_alone():
    target = scene((180, 140, 120), 12).astype(np.uint8)
    skin = np.ones((64, 64), np.float32)
    matched = match_light(target.astype(np.float32), target, skin)
    assert np.abs(matched - target).max() < 0.6


def test_contrast_changes_by_little_at_most():
    ours = scene((150, 120, 110), 2).astype(np.float32)
    target = scene((150, 120, 110), 30, seed=1).astype(np.uint8)
    matched = match_light(ours, target, np.ones((64, 64), np.float32))
    spread = [rgb_to_lab(np.float32(p) / np.float32(255))[..., 0].std() for p in (ours, matched)]
    assert spread[1] / spread[0] == pytest.approx(1.15, rel=0.03)


def test_without_skin_nothing_is_measured():
    ours = scene((150, 120, 110), 10).astype(np.float32)
    target = scene((90, 80, 70), 10).astype(np.uint8)
    assert match_light(ours, target, np.zeros((64, 64), np.float32)) is ours


def test_what_is_dark_gets_no_tint():
    ours = scene((150, 120, 110), 8).astype(np.float32)
    ours[:16, :16] = 12
    target = scene((190, 120, 60), 8).astype(np.uint8)
    skin = np.ones((64, 64), np.float32)
    skin[:20, :20] = 0
    matched = match_light(ours, target, skin)
    assert np.ptp(matched[4, 4]) < 12
    assert matched[4, 4].max() < 40


def everywhere(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((size, size)).reshape(2, -1)
    return rows, columns


def laid(face: np.ndarray, before: np.ndarray, skin: np.ndarray | None = None) -> np.ndarray:
    skin = np.ones((64, 64), np.float32) if skin is None else skin
    flat = (np.float32(p).reshape(-1, 3) for p in (face, before))
    return relight(*flat, skin, *everywhere()).reshape(64, 64, 3)


def test_a_face_on_itself_keeps_its_light():
    face = scene((180, 140, 120), 12)
    assert np.abs(laid(face, face) - face).max() < 0.6


def test_coarse_light_becomes_the_targets_and_details_stay():
    face = scene((150, 115, 100), 4)
    across = np.linspace(0.6, 1.1, 64)[None, :, None]
    target = np.clip(scene((170, 130, 115), 0) * across, 0, 255)
    made = laid(face, target)
    lightness = [rgb_to_lab(np.float32(p / 255))[..., 0] for p in (face, target, made)]
    slope = [float(part[:, 48:].mean() - part[:, :16].mean()) for part in lightness]
    assert slope[2] > 0.7 * slope[1] > 20 * abs(slope[0])
    # columns differ by light alone, rows by detail alone
    fine = [(part - part.mean(0)).std() for part in lightness]
    assert fine[2] == pytest.approx(fine[0], rel=0.2)
    assert np.corrcoef(lightness[0].mean(1), lightness[2].mean(1))[0, 1] > 0.9


def test_a_dark_face_on_a_bright_one_gets_no_harder_contrast():
    face, target = scene((60, 45, 40), 6), scene((220, 190, 175), 0)
    before, after = (rgb_to_lab(np.float32(p / 255))[..., 0] for p in (face, laid(face, target)))
    assert after.mean() > before.mean() + 40
    assert after.std() < 1.1 * before.std()


def test_what_is_no_skin_does_not_count_as_light():
    face, target = scene((180, 140, 120), 3), scene((150, 115, 100), 0)
    target[:, :24] = 10  # hair over the target's face
    skin = np.ones((64, 64), np.float32)
    skin[:, :24] = 0
    made = laid(face, target, skin)
    assert np.abs(made[:, 40:].mean((0, 1)) - (150, 115, 100)).max() < 4
    assert made[:, 26:30].mean() > 110


def test_without_skin_a_face_keeps_its_light():
    face = np.float32(scene((150, 120, 110), 10)).reshape(-1, 3)
    skin = np.zeros((64, 64), np.float32)
    assert relight(face, face[::-1], skin, *everywhere()) is face


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_reading_is_bilinear(channels):
    image = np.random.default_rng(0).random((9, 7, channels))
    places = np.array([[2.5, 4.5], [2.0, 4.5], [3.25, 5.75]])
    wanted = [
        image[4, 2],
        (image[4, 1] + image[4, 2]) / 2,
        0.75 * (0.25 * image[5, 2] + 0.75 * image[5, 3])
        + 0.25 * (0.25 * image[6, 2] + 0.75 * image[6, 3]),
    ]
    np.testing.assert_allclose(read(image.astype(np.float32), places), wanted, atol=1e-6)
