from __future__ import annotations

import numpy as np
import pytest
import torch

from visagist.makeup.config import MakeupTrainingConfig
from visagist.makeup.losses import equivariance, protected, residual_losses, sobel

KERNEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8.0


def slow_sobel(image: np.ndarray) -> np.ndarray:
    """(H, W) -> (2, H - 2, W - 2), one pixel after the other."""
    h, w = image.shape
    out = np.empty((2, h - 2, w - 2))
    for y in range(h - 2):
        for x in range(w - 2):
            window = image[y : y + 3, x : x + 3]
            out[:, y, x] = (window * KERNEL).sum(), (window * KERNEL.T).sum()
    return out


def test_sobel_is_the_direct_convolution():
    image = np.random.default_rng(0).normal(size=(9, 12))
    got = sobel(torch.from_numpy(image)[None, None])[0].numpy()
    assert np.allclose(got, slow_sobel(image), atol=1e-12)


def test_sobel_of_a_ramp_is_its_slope():
    ramp = torch.arange(8.0).expand(8, 8)[None, None] * 3
    across, along = sobel(ramp)[0]
    assert torch.allclose(across, torch.tensor(3.0))
    assert torch.allclose(along, torch.tensor(0.0))


def test_losses_against_float64():
    rng = np.random.default_rng(1)
    config = MakeupTrainingConfig(l1=0.7, l2=3.0, sobel=0.4, protect=1.5)
    a, b = rng.normal(size=(2, 2, 48, 9)), rng.normal(size=(2, 2, 48, 9))
    b[0, :, :24] = 0  # left alone beside strong makeup
    weight = np.where(np.abs(b) < 0.5 / 255, 2.5, 1.0)
    e, f = rng.normal(size=(2, 3, 10, 12)), rng.normal(size=(2, 3, 10, 12))
    got = residual_losses(*(torch.from_numpy(x).float() for x in (a, b, e, f)), config)
    edges = [slow_sobel(x) for x in (e - f).mean(1)]
    assert float(got["l1"]) == pytest.approx(0.7 * (weight * np.abs(a - b)).mean(), rel=1e-5)
    assert float(got["l2"]) == pytest.approx(3.0 * (weight * np.square(a - b)).mean(), rel=1e-5)
    assert float(got["sobel"]) == pytest.approx(0.4 * np.abs(edges).mean(), rel=1e-5)


def test_a_perfect_prediction_costs_nothing():
    x, eyes = torch.rand(2, 48, 5), torch.rand(2, 3, 8, 8)
    losses = residual_losses(x, x, eyes, eyes, MakeupTrainingConfig())
    assert all(float(v) == 0 for v in losses.values())


def test_equivariance():
    still = torch.rand((2, 3, 40, 40), generator=torch.Generator().manual_seed(0))
    moved = torch.roll(still, (3, -2), (2, 3))
    assert float(equivariance(moved, still, (-2, 3))) == 0
    assert float(equivariance(moved + 0.25, still, (-2, 3))) == pytest.approx(0.25, rel=1e-4)
    assert float(equivariance(moved, still, (0, 0))) > 0.1


def test_what_is_protected():
    """Untouched values count where their own patch has strong makeup, and nowhere else."""
    target = torch.zeros((1, 1, 48, 3))
    target[0, 0, :, 1] = 4 / 255  # weak makeup everywhere
    target[0, 0, :10, 2] = -60 / 255  # strong, and the rest left alone
    got = protected(target)[0, 0]
    assert not got[:, :2].any()
    assert not got[:10, 2].any()
    assert got[10:, 2].all()
