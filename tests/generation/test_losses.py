from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist.generation import losses


def reference_nce(query, target, temperature):
    query = query / np.linalg.norm(query, axis=1, keepdims=True)
    target = target / np.linalg.norm(target, axis=1, keepdims=True)
    logits = query @ target.T / temperature
    return float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
def test_nce_is_its_formula(temperature):
    q, k = draws(7, 5), draws(7, 5, seed=1)
    got = losses.info_nce(torch.from_numpy(q), torch.from_numpy(k), temperature)
    assert float(got) == pytest.approx(reference_nce(q, k, temperature), rel=1e-5)


@pytest.mark.parametrize(("b", "tau"), [(4, 0.2), (16, 0.1), (8, 1.0)])
def test_nce_of_perfect_alignment(b, tau):
    same = torch.eye(b)
    wanted = math.log(1 + (b - 1) * math.exp(-1 / tau))
    assert float(losses.info_nce(same * 3, same * 7, tau)) == pytest.approx(wanted, rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 9), st.floats(0.05, 2.0), st.integers(0, 1000))
def test_nce_is_positive_and_best_when_aligned(b, tau, seed):
    q = torch.from_numpy(draws(b, 16, seed=seed)).float()
    moved = float(losses.info_nce(q, q.roll(1, 0), tau))
    assert 0 <= float(losses.info_nce(q, q, tau)) <= moved


def test_gradients_stop_at_targets():
    q, k = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    losses.info_nce(q, k, 0.2).backward()
    assert q.grad is not None
    assert k.grad is None


def test_the_views_are_crossed():
    a, b, c, d = (torch.from_numpy(draws(5, 4, seed=i)) for i in range(4))
    got = float(losses.contrastive_loss((a, b), (c, d), 0.2))
    n = [x.numpy() for x in (a, b, c, d)]
    wanted = reference_nce(n[0], n[3], 0.2) + reference_nce(n[1], n[2], 0.2)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_squared_error():
    p, x, w = draws(3, 3, 4, 4), draws(3, 3, 4, 4, seed=1), np.array([1.0, 2.0, 0.0])
    got = losses.squared_error(*(torch.from_numpy(a) for a in (p, x, w)))
    assert float(got) == pytest.approx(np.mean(w * ((p - x) ** 2).mean((1, 2, 3))), rel=1e-5)


def test_pseudo_huber_and_its_gradient():
    p, x, w = draws(3, 3, 4, 4), draws(3, 3, 4, 4, seed=1), np.array([1.0, 2.0, 0.5])
    predicted = torch.from_numpy(p).float().requires_grad_()
    target = torch.from_numpy(x).float().requires_grad_()
    loss = losses.pseudo_huber(predicted, target, torch.from_numpy(w), c=0.06)
    s = ((p - x) ** 2).sum((1, 2, 3))
    norm = np.sqrt(s + 0.06**2)
    assert float(loss.detach()) == pytest.approx(np.mean(w * s / norm), rel=1e-5)
    loss.backward()
    assert target.grad is None
    wanted = (w / norm)[:, None, None, None] * 2 * (p - x) / 3
    assert np.allclose(predicted.grad.numpy(), wanted, atol=1e-6)


def test_pseudo_huber_at_its_minimum():
    x = torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss = losses.pseudo_huber(x, torch.zeros(2, 3, 4, 4), torch.ones(2), c=0.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(x.grad).all()
