from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.generation import noise
from visagist.generation.noise import GUIDED, karras_levels

LEVELS = st.floats(noise.SIGMA_MIN, noise.SIGMA_MAX)


def test_the_grid_is_that_of_karras():
    levels = karras_levels(5)
    roots = [80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7)) for i in range(5)]
    assert levels == pytest.approx([root**7 for root in roots])
    assert (levels[0], levels[-1]) == (80.0, 0.002)
    assert karras_levels(3)[1] == pytest.approx(2.515219, rel=1e-6)
    with pytest.raises(ValueError, match="at least two"):
        karras_levels(1)


@pytest.mark.parametrize(("side", "ends"), [(64, (0.002, 80)), (128, (0.004, 160))])
def test_levels_move_with_the_resolution(side, ends):
    assert noise.shift(side) * karras_levels(2)[::-1] == pytest.approx(ends)
    assert noise.shift(256) * np.array([0.002, 80]) == pytest.approx([0.008, 320])


def test_six_of_32_levels_are_guided():
    levels = karras_levels(32)
    assert int(((levels > GUIDED[0]) & (levels <= GUIDED[1])).sum()) == 6


def test_the_closed_form_of_the_weight():
    """125.27 sigma^(-6/7): to 0.1 % in the middle of an interval, 1 % at its upper end."""
    levels = karras_levels(1280)
    exact = 1 / (levels[:-1] - levels[1:])
    middle = (levels[:-1] + levels[1:]) / 2
    assert noise.interval_weight(np.array([1.0]))[0] == pytest.approx(125.27, abs=0.005)
    assert noise.interval_weight(middle) == pytest.approx(exact, rel=1e-3)
    assert noise.interval_weight(levels[:-1]) == pytest.approx(exact, rel=1e-2)


def test_the_velocity_weight():
    assert noise.velocity_weight(np.array([1.0, 1e6, 1e-3]), 50.0) == pytest.approx(
        [4, 1, 50], rel=1e-5
    )


@given(LEVELS)
def test_the_nearest_level_is_nearest(sigma):
    levels = karras_levels(40)
    (index,) = noise.nearest_levels(np.array([sigma]), levels)
    assert abs(levels[index] - sigma) == pytest.approx(np.abs(levels - sigma).min())


@given(LEVELS)
def test_scaled_inputs_have_unit_variance(sigma):
    assert noise.input_scale(sigma) ** 2 * (sigma**2 + 0.25) == pytest.approx(1)


def test_the_sinusoid():
    code = noise.sinusoid(np.array([1.0, math.e]), 8)
    assert code.shape == (2, 8)
    assert code[0] == pytest.approx([1, 1, 1, 1, 0, 0, 0, 0])
    angles = 250 * np.array([1, 0.1, 0.01, 0.001])
    assert code[1] == pytest.approx([*np.cos(angles), *np.sin(angles)], abs=1e-5)


def test_the_number_of_levels_grows_as_published():
    assert noise.doubling(600_000) == 99_629
    counts = [noise.level_count(k, 600_000) for k in (0, 1, 99_629, 99_630, 498_146, 599_999)]
    assert counts == [21, 41, 41, 81, 1281, 1281]


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_number_of_levels_never_falls(steps, share):
    step = int(share * (steps - 1))
    now, then = (noise.level_count(k, steps, 20, 160) for k in (step, step + 1))
    assert 21 <= now <= then <= 161


def test_temperatures():
    def at(kind, sigma=1.0, step=0):
        return noise.temperature(kind, first=0.2, last=0.1, sigma=sigma, step=step, steps=900)

    assert at("fixed", 80) == 0.1
    assert at("linear", 80) == pytest.approx(0.2)
    assert at("linear", 0) == pytest.approx(0.1)
    assert at("linear", 40) == pytest.approx(0.15)
    assert at("cosine") == pytest.approx(0.2)
    assert at("cosine", step=599) == pytest.approx(0.1, abs=1e-5)
    assert at("cosine", step=600) == at("cosine", step=899) == 0.1
    assert at("cosine", step=300) == pytest.approx(0.2 - 0.1 / math.sqrt(2))


def test_consistency_compares_with_plain_denoising_up_to_the_published_levels():
    """Base levels below 1.95 at stage 1, and below 0.51 at stage 2, have the lowest as target."""
    for stage, edge in [(1, 1.95), (2, 0.51)]:
        below, above = noise.consistency_target(np.array([edge - 0.01, edge + 0.01]), stage)
        assert below == noise.SIGMA_MIN
        assert above > noise.SIGMA_MIN
    assert noise.consistency_target(np.array([80.0]), 3)[0] == pytest.approx(70)
    assert noise.consistency_target(np.array([1e5]), 3)[0] == pytest.approx(1e5 * 7 / 8)


@given(LEVELS, st.integers(0, 20))
def test_the_target_lies_below_and_comes_closer(level, stage):
    t = np.array([level])
    now, then = noise.consistency_target(t, stage), noise.consistency_target(t, stage + 1)
    assert noise.SIGMA_MIN <= now <= then <= max(level, noise.SIGMA_MIN)


@given(LEVELS, st.sampled_from([64, 128, 256]))
def test_the_boundary_of_consistency(level, side):
    least = noise.SIGMA_MIN * noise.shift(side)
    assert noise.skip_scale(least, least) == 1
    assert noise.output_scale(least, least) == 0
    t = level * noise.shift(side)
    assert noise.skip_scale(t, least) == pytest.approx(0.25 / ((t - least) ** 2 + 0.25))
    assert noise.output_scale(t, least) == pytest.approx(0.5 * (t - least) / math.hypot(t, 0.5))
