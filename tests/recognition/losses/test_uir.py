from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visagist.errors import InputError
from visagist.recognition.losses.uir import FORMS, highest, uir_loss, uir_terms


def log_softmax(z: np.ndarray) -> np.ndarray:
    top = z.max(-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))


def reference(z: np.ndarray, form: str) -> np.ndarray:
    """The definitions, in float64 (longdouble where the constant cancels)."""
    z = z.astype(np.longdouble)
    n = z.shape[-1]
    logs = log_softmax(z)
    if form == "released":
        logs = log_softmax(np.exp(logs))
    terms = -logs.sum(-1) - n * np.log(np.longdouble(n))
    return np.asarray(terms / n if form == "kl" else terms, np.float64)


def winner(n: int, share: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Logits whose softmax has ``share`` for the first class and is even over the others."""
    z = torch.zeros(1, n, dtype=dtype)
    z[0, 0] = 300.0 if share == 1 else math.log(share * (n - 1) / (1 - share))
    return z


def probes(n: int, d: int, scale: float, count: int = 16) -> torch.Tensor:
    """Scaled cosines between random features and random centres."""
    generator = torch.Generator().manual_seed(n)
    centres = torch.nn.functional.normalize(torch.randn(n, d, generator=generator))
    features = torch.nn.functional.normalize(torch.randn(count, d, generator=generator))
    return scale * features @ centres.T


def gradients(z: torch.Tensor, form: str) -> torch.Tensor:
    z = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(uir_terms(z, form).sum(), z)
    return gradient


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("d", "scale"), [(512, 64), (128, 32), (128, 64)])
@pytest.mark.parametrize("n", [2, 100, 10_000, 85_742])
def test_float32_is_as_good_as_the_definition_in_more_digits(form, d, scale, n):
    z = probes(n, d, scale, 4)
    terms = uir_terms(z, form)
    assert terms.dtype == torch.float32
    wanted = reference(z.numpy(), form)
    np.testing.assert_allclose(terms.numpy(), wanted, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(uir_terms(z.double(), form).numpy(), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spread", [1e-4, 1e-2])
def test_near_uniform_no_digit_is_lost_to_the_constant(form, spread):
    z = (30 + spread * torch.randn(3, 85_742, generator=torch.Generator().manual_seed(1))).float()
    wanted = reference(z.numpy(), form)
    # what is written down in the paper would be wrong by tenths here
    np.testing.assert_allclose(uir_terms(z, form).numpy(), wanted, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [2, 7, 10_000, 85_742])
def test_uniform_is_zero_with_no_gradient(form, n):
    for value in (0.0, -64.0, 17.3):
        z = torch.full((2, n), value)
        assert uir_terms(z, form).abs().max() < 2e-6
        assert gradients(z, form).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("share", "kl", "released"),
    [
        (0.05, 0.050, 0.002),
        (0.2, 0.200, 0.035),
        (0.49, 0.490, 0.158),
        (0.71, 0.710, 0.213),
        (0.9, 0.900, 0.131),
        (0.96, 0.960, 0.062),
        (0.998, 0.998, 0.003),
        (1.0, 1.0, 0.0),
    ],
)
def test_gradient_norms_at_a_winner(share, kl, released):
    for dtype in (torch.float32, torch.float64):
        z = winner(10_000, share, dtype)
        norms = {form: float(gradients(z, form).norm()) for form in FORMS}
        assert norms["kl"] == pytest.approx(kl, abs=6e-4)
        assert norms["released"] == pytest.approx(released, abs=6e-4)
        assert norms["paper"] == pytest.approx(10_000 * kl, abs=6)


def test_the_released_gradient_peaks_and_then_forgets():
    shares = np.linspace(0.5, 0.99, 99)
    norms = [float(gradients(winner(10_000, float(s)), "released").norm()) for s in shares]
    assert max(norms) == pytest.approx(0.213, abs=5e-4)
    assert shares[int(np.argmax(norms))] == pytest.approx(0.705, abs=0.006)


@pytest.mark.parametrize(("n", "value"), [(10_000, 0.7182), (85_742, 0.71826), (10**6, 0.71828)])
def test_a_sure_match_is_e_less_2(n, value):
    z = winner(n, 1.0, torch.float32)
    assert float(uir_terms(z, "released")) == pytest.approx(value, abs=1e-5 if n > 10**4 else 1e-4)
    assert float(uir_terms(z, "released")) < math.e - 2
    assert gradients(z, "released").abs().max() == 0


def test_values_of_known_cosines():
    n, s = 85_742, 64.0
    z = probes(n, 512, s, 1)
    for cosine, paper in ((0.5, 1.77e6), (0.8, 3.42e6)):
        with_match = z.clone()
        with_match[0, 0] = s * cosine
        assert float(uir_terms(with_match, "paper")) == pytest.approx(paper, rel=0.02)
        assert float(uir_terms(with_match, "kl")) == pytest.approx(paper / n, rel=0.02)
        assert float(uir_terms(with_match, "released")) == pytest.approx(math.e - 2, abs=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_finite_differences(form):
    generator = torch.Generator().manual_seed(0)
    z = 6 * torch.randn(3, 9, dtype=torch.float64, generator=generator)
    gradient = gradients(z, form)
    step = 1e-5
    for row in range(3):
        for column in range(9):
            up, down = z.clone(), z.clone()
            up[row, column] += step
            down[row, column] -= step
            slope = (uir_terms(up, form) - uir_terms(down, form))[row] / (2 * step)
            assert float(gradient[row, column]) == pytest.approx(float(slope), abs=1e-8, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(
    z=arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(2, 40)),
        elements=st.floats(-128, 128),
    ),
    shift=st.floats(-100, 100),
    form=st.sampled_from(FORMS),
)
def test_bounds_and_symmetries(z, shift, form):
    terms = uir_terms(torch.from_numpy(z), form)
    n = z.shape[1]
    assert (terms >= -1e-9).all()
    if form == "released":
        assert (terms <= math.e - 2).all()
    moved = uir_terms(torch.from_numpy(z[:, ::-1] + shift), form)
    torch.testing.assert_close(moved, terms, rtol=1e-8, atol=1e-8 * n)
    sums = gradients(torch.from_numpy(z), form).sum(1)
    assert sums.abs().max() < 1e-9 * n


def test_autocast_does_not_reach_it():
    z = probes(1000, 128, 32, 4)
    plain = uir_terms(z, "kl")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(uir_terms(z, "kl"), plain)
        assert uir_terms(z.bfloat16(), "released").dtype == torch.float32
    half = z.half().requires_grad_()
    uir_terms(half, "released").sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.float16


def test_the_highest_classes_alone():
    z = torch.tensor([[5.0, 1.0, 4.0, -3.0]], requires_grad=True)
    some = uir_loss(z, "kl", top=2)
    torch.testing.assert_close(some, uir_terms(torch.tensor([[5.0, 4.0]]), "kl")[0])
    some.backward()
    assert z.grad is not None
    assert z.grad[0, [1, 3]].tolist() == [0.0, 0.0]
    torch.testing.assert_close(uir_loss(z, "kl", top=9), uir_loss(z, "kl"))
    with pytest.raises(InputError, match="at least 2"):
        highest(z, 1)


def test_no_unlabelled_faces_no_loss():
    z = torch.zeros(0, 5, requires_grad=True)
    loss = uir_loss(z, "released")
    loss.backward()
    assert float(loss.detach()) == 0


def test_an_unknown_form_is_named():
    with pytest.raises(InputError, match="'mean'"):
        uir_terms(torch.zeros(1, 3), "mean")
