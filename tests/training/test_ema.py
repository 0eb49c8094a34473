from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from visagist.training.ema import (
    PowerEma,
    gamma_of,
    posthoc_weights,
    profile_products,
    sigma_rel_of,
)


def test_known_exponents():
    """Karras et al. 2024: sigma_rel of 0.05 and 0.10 are gamma 16.97 and 6.94."""
    assert gamma_of(0.05) == pytest.approx(16.97, abs=0.005)
    assert gamma_of(0.10) == pytest.approx(6.94, abs=0.005)
    for wrong in (0.0, 0.3, -1.0):
        with pytest.raises(ValueError, match="sigma_rel"):
            gamma_of(wrong)


@given(st.floats(0.01, 0.28))
def test_exponents_and_widths_are_inverse(width):
    assert sigma_rel_of(gamma_of(width)) == pytest.approx(width, rel=1e-6)


def test_the_width_is_that_of_the_profile():
    t = (np.arange(200_000) + 0.5) / 200_000
    p = 8 * t**7 / len(t)
    mean = (t * p).sum()
    assert sigma_rel_of(7.0) == pytest.approx(math.sqrt(((t - mean) ** 2 * p).sum()), rel=1e-5)


def test_inner_products_are_integrals():
    steps, gammas = np.array([40.0, 100.0]), np.array([3.0, 8.0])
    t = (np.arange(1_000_000) + 0.5) / 1e4
    profiles = [
        np.where(t <= end, (g + 1) * t**g / end ** (g + 1), 0.0)
        for end, g in zip(steps, gammas, strict=True)
    ]
    wanted = [[float((a * b).sum() / 1e4) for b in profiles] for a in profiles]
    assert profile_products(steps, gammas, steps, gammas) == pytest.approx(
        np.array(wanted), rel=1e-4
    )


def test_a_stored_average_is_found_as_itself():
    steps, gammas = [100, 100, 200, 200], [16.97, 6.94, 16.97, 6.94]
    weights = posthoc_weights(steps, gammas, step=200, gamma=6.94)
    assert weights == pytest.approx([0, 0, 0, 1], abs=1e-6)
    with pytest.raises(ValueError, match="at or after step 300"):
        posthoc_weights(steps, gammas, step=300, gamma=5)


def test_an_average_that_was_not_kept_is_found_afterwards():
    """A random walk of 2000 steps, both averages stored every 100 steps."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(8, 1, bias=False)
    kept = [PowerEma(model, gamma=16.97), PowerEma(model, gamma=6.94)]
    wished = {width: PowerEma(model, gamma=gamma_of(width)) for width in (0.06, 0.08, 0.13)}
    states, steps, gammas = [], [], []
    for step in range(1, 2001):
        with torch.no_grad():
            model.weight += torch.randn((1, 8), generator=generator)
        for average in (*kept, *wished.values()):
            average.update(model, step)
        if step % 100 == 0:
            for average in kept:
                states.append(average.model.weight.clone())
                steps.append(step)
                gammas.append(average.gamma)
    for width, exact in wished.items():
        weights = posthoc_weights(steps, gammas, step=2000, gamma=gamma_of(width))
        assert weights.sum() == pytest.approx(1)
        found = sum(float(w) * s for w, s in zip(weights, states, strict=True))
        spread = float((kept[0].model.weight - kept[1].model.weight).abs().mean())
        assert float((found - exact.model.weight).abs().mean()) < 0.05 * spread


def test_a_constant_decay():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    ema = PowerEma(model, decay=0.9)
    nn.init.constant_(model.weight, 0.0)
    for step in (1, 2, 3):
        ema.update(model, step)
    assert float(ema.model.weight) == pytest.approx(0.9**3)
