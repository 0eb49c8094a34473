from __future__ import annotations

import numpy as np
import pytest

from visagist.photo.colour import rgb_to_lab
from visagist.swap.colour import match_light


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
