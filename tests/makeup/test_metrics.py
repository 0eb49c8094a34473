from __future__ import annotations

import math

import numpy as np
import pytest

from visagist.makeup import metrics
from visagist.makeup.metrics import leakage, level, psnr, shift_sensitivity, ssim


def picture(seed: int, height: int = 20, width: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)


def test_psnr_of_a_known_error():
    error = np.full((8, 8, 3), 5, np.float32)
    assert psnr(error) == pytest.approx(20 * math.log10(255 / 5), abs=1e-9)
    assert psnr(error * 0) == 100


def test_psnr_under_a_mask_sees_the_mask_only():
    error, mask = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32)
    error[:4], mask[:4] = 10, 1
    assert psnr(error, mask) == pytest.approx(20 * math.log10(25.5), abs=1e-9)
    assert psnr(error) == pytest.approx(20 * math.log10(25.5) + 10 * math.log10(2), abs=1e-9)
    assert math.isnan(psnr(error, mask * 0))


def slow_ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Window by window, in float64, with the weighted moments written out."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(taps, taps) / taps.sum() ** 2
    scores = []
    for c in range(3):
        for y in range(first.shape[0] - 10):
            for x in range(first.shape[1] - 10):
                a, b = (p[y : y + 11, x : x + 11, c].astype(float) for p in (first, second))
                ma, mb = (weight * a).sum(), (weight * b).sum()
                va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
                both = (weight * (a - ma) * (b - mb)).sum()
                c1, c2 = 2.55**2, 7.65**2
                scores.append(
                    (2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
                )
    return float(np.mean(scores))


@pytest.mark.parametrize("noise", [3.0, 30.0, 200.0])
def test_ssim_is_the_direct_sum(noise):
    first = picture(0)
    second = np.clip(first + (picture(1) - 128) / 128 * noise, 0, 255)
    assert ssim(first, second) == pytest.approx(slow_ssim(first, second), abs=2e-4)


def test_ssim_of_a_picture_with_itself_and_both_ways():
    first, second = picture(0), picture(1)
    assert ssim(first, first) == pytest.approx(1, abs=1e-4)
    assert ssim(first, second) == pytest.approx(ssim(second, first), abs=1e-5)
    assert ssim(first, second) < 0.3


def test_leakage():
    residual, allowed = np.ones((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)
    assert leakage(residual, allowed) == 1
    allowed[:2] = 1
    assert leakage(residual, allowed) == pytest.approx(0.5)
    assert leakage(residual * allowed[..., None], allowed) == 0
    assert leakage(-residual, allowed / 2) == pytest.approx(0.75)
    assert leakage(residual * 0, allowed) == 0


def test_level():
    residual, mask = np.full((4, 4, 3), -3, np.float32), np.zeros((4, 4), np.float32)
    assert math.isnan(level(residual, mask))
    mask[:2] = 1
    residual[2:] = 100
    assert level(residual, mask) == pytest.approx(3)


def test_a_residual_that_moves_with_the_face_is_not_sensitive():
    still = picture(2, 64, 48) - 128
    moved = np.zeros_like(still)
    moved[1:, 1:] = still[:-1, :-1]
    assert shift_sensitivity(moved, still) == 0
    assert shift_sensitivity(moved * 1.1, still) == pytest.approx(0.1, rel=1e-3)
    assert shift_sensitivity(still, still) > 0.5
    assert shift_sensitivity(moved * 0, still * 0) == 0


@pytest.mark.parametrize(
    ("colour", "angle"),
    [((245, 225, 215), (50, 90)), ((190, 140, 110), (-20, 41)), ((70, 45, 35), (-90, -20))],
)
def test_skin_tone_is_lighter_for_lighter_skin(colour, angle):
    crop = np.broadcast_to(np.uint8(colour), (8, 8, 3))
    got = metrics.skin_tone(crop, np.ones((8, 8), np.float32))
    assert angle[0] < got < angle[1]
    assert math.isnan(metrics.skin_tone(crop, np.zeros((8, 8), np.float32)))
