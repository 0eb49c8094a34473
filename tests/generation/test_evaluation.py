from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from visagist.errors import DataError
from visagist.generation import evaluation
from visagist.generation.evaluation import (
    bootstrap,
    extrapolated_frechet_distance,
    frechet_distance,
    kernel_distance,
    manifolds,
    nearest_training,
)


def normal(n, d=6, *, mean=0.0, spread=1.0, seed=0):
    return mean + spread * np.random.default_rng(seed).standard_normal((n, d))


def reference_frechet(a, b):
    """Written out with the root of a matrix, by eigenvalues of S1 S2."""
    s1, s2 = np.cov(a.T), np.cov(b.T)
    values = np.linalg.eigvals(s1 @ s2).real
    root = np.sqrt(np.maximum(values, 0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2) - 2 * root


@pytest.mark.parametrize(("n", "m"), [(40, 60), (7, 9), (5, 30)])
def test_frechet_is_its_formula(n, m):
    a, b = normal(n, seed=1), normal(m, mean=0.4, spread=1.7, seed=2) @ np.diag(range(1, 7))
    assert frechet_distance(a, b) == pytest.approx(reference_frechet(a, b), rel=1e-5)


def test_frechet_of_known_distributions():
    """N(0, 1) against N(2, 3^2) in one dimension: 4 + (3 - 1)^2 = 8."""
    a = normal(200_000, 1)
    b = normal(200_000, 1, mean=2, spread=3, seed=1)
    assert frechet_distance(a, b) == pytest.approx(8, rel=0.02)


MATRICES = arrays(np.float64, (8, 3), elements=st.floats(-5, 5, width=32))


@settings(max_examples=40, deadline=None)
@given(MATRICES, MATRICES)
def test_frechet_is_a_distance(a, b):
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), abs=1e-9)
    assert frechet_distance(a, b) >= -1e-9
    assert frechet_distance(a + 3, b + 3) == pytest.approx(frechet_distance(a, b), abs=1e-8)


def test_extrapolation_takes_the_bias_away():
    a, b = normal(4000, 20), normal(400, 20, seed=1)
    plain, far = frechet_distance(a, b), extrapolated_frechet_distance(a, b)
    assert plain > 0.2
    assert abs(far) < 0.25 * plain


def test_kernel_distance_is_its_formula(monkeypatch):
    monkeypatch.setattr(evaluation, "_ROWS", 4)  # several parts
    a, b = normal(11), normal(9, mean=0.5, seed=1)
    k = lambda x, y: (x @ y / 6 + 1) ** 3  # noqa: E731
    within = [
        sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (a, b)
    ]
    across = sum(k(x, y) for x in a for y in b) / (11 * 9)
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * across)


def test_kernel_distance_is_unbiased():
    values = [
        kernel_distance(normal(60, seed=2 * i), normal(60, seed=2 * i + 1)) for i in range(60)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)
    assert kernel_distance(normal(60), normal(60, mean=0.7, seed=1)) > 5 * np.std(values)


def reference_manifolds(real, made, k):
    def radii(s):
        d = np.linalg.norm(s[:, None] - s[None], axis=2)
        return np.sort(d, axis=1)[:, k]

    across = np.linalg.norm(made[:, None] - real[None], axis=2)
    inside = across <= radii(real)[None]
    return (
        inside.any(1).mean(),
        (across <= radii(made)[:, None]).any(0).mean(),
        inside.sum(1).mean() / k,
        (across.min(0) <= radii(real)).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
def test_manifolds_are_their_definitions(monkeypatch, k):
    monkeypatch.setattr(evaluation, "_ROWS", 7)
    real, made = normal(31, 3), normal(23, 3, mean=0.6, spread=0.7, seed=1)
    found = manifolds(real, made, k=k)
    got = (found.precision, found.recall, found.density, found.coverage)
    assert got == pytest.approx(reference_manifolds(real, made, k))


def test_what_precision_and_recall_mean():
    real = np.concatenate([normal(200, 4), normal(200, 4, mean=20, seed=1)])
    one_mode = normal(200, 4, seed=2)
    half = manifolds(real, one_mode)
    assert half.precision > 0.8
    assert 0.3 < half.recall < 0.6
    noise = manifolds(real, normal(200, 4, mean=-50, seed=3))
    assert (noise.precision, noise.recall, noise.coverage) == (0, 0, 0)


def test_memorised_samples_are_found():
    training, held_out = normal(300), normal(100, seed=1)
    fresh = nearest_training(normal(100, seed=2), training, held_out)
    assert fresh.share < 0.1
    copies = training[:50] + 1e-3 * normal(50, seed=3)
    copied = nearest_training(np.concatenate([copies, normal(50, seed=4)]), training, held_out)
    assert copied.index[:50].tolist() == list(range(50))
    assert copied.distance[:50].max() < 0.02
    assert 0.5 <= copied.share < 0.6
    by_hand = np.linalg.norm(held_out[:, None] - training[None], axis=2).min(1)
    assert copied.usual == pytest.approx(by_hand)


def test_intervals_hold_the_value_and_narrow():
    widths = []
    for n in (50, 800):
        a, b = normal(n, 3), normal(n, 3, mean=1.0, seed=1)
        found = bootstrap(frechet_distance, a, b, repeats=60)
        assert found.value == frechet_distance(a, b)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < 0.5 * widths[0]
    assert bootstrap(frechet_distance, a, b, repeats=5) == bootstrap(
        frechet_distance, a, b, repeats=5
    )


@pytest.mark.parametrize(
    ("real", "made", "message"),
    [
        (normal(1), normal(5), "at least 2"),
        (normal(5, 3), normal(5, 4), "3 and of 4"),
        (normal(5), np.full((5, 6), np.nan), "not finite"),
        (normal(5).ravel(), normal(5), "matrix"),
    ],
)
def test_features_that_cannot_be_compared(real, made, message):
    with pytest.raises(DataError, match=message):
        frechet_distance(real, made)


def test_detail_is_measured():
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    smooth = np.repeat(np.repeat(rough[:, ::4, ::4], 4, 1), 4, 2)
    flat = np.full((2, 16, 16, 3), 90, np.uint8)
    # white noise: 1 - (share of the low square), which holds 9 x 9 of 16 x 16 rates, less the mean
    assert evaluation.high_frequencies(rough) == pytest.approx(1 - 80 / 255, abs=0.04)
    assert evaluation.high_frequencies(smooth) < 0.3
    assert evaluation.high_frequencies(flat) == 0
