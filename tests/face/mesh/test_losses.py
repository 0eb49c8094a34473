from __future__ import annotations

import numpy as np
import pytest
import torch

from visagist.face.mesh.losses import (
    confidence_loss,
    confidence_target,
    inter_ocular,
    point_weights,
    relative_errors,
    wing_loss,
)
from visagist.face.topology import LIPS_OUTER, canonical_points


def meshes(noise: float, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    target = np.repeat(canonical_points()[None].astype(np.float64) / 256, n, 0)
    target *= np.array([1.0, 0.5, 2.0])[:n, None, None]
    rng = np.random.default_rng(0)
    return target + rng.normal(0, noise, target.shape), target


def eye_distance(target: np.ndarray) -> np.ndarray:
    right, left = target[:, [33, 133], :2].mean(1), target[:, [362, 263], :2].mean(1)
    return np.hypot(*(left - right).T)


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(a).float() for a in arrays]


def test_weights_have_mean_one():
    weights = point_weights(3.0)
    assert float(weights.mean()) == pytest.approx(1, abs=1e-6)
    assert float(weights[LIPS_OUTER[0]] / weights[10]) == pytest.approx(3)


@pytest.mark.parametrize("noise", [0.001, 0.02, 0.3])
def test_wing_loss_is_the_papers_formula(noise):
    """Feng et al. 2018: w ln(1 + |x| / eps) below w, |x| - C above, C = w - w ln(1 + w / eps)."""
    predicted, target = meshes(noise)
    weights = np.linspace(0.5, 1.5, 478)
    w, eps = 0.04, 0.01
    x = np.abs(predicted - target) / eye_distance(target)[:, None, None]
    expected = np.where(x < w, w * np.log(1 + x / eps), x - (w - w * np.log(1 + w / eps)))
    expected = (expected * np.array([1, 1, 0.25]) * weights[:, None]).mean((1, 2))
    got = wing_loss(*tensors(predicted, target, weights), w=w, eps=eps)
    assert np.allclose(got.numpy(), expected, rtol=1e-4)


def test_wing_loss_of_a_perfect_mesh_is_zero_and_it_is_continuous():
    _, target = meshes(0)
    (mesh,) = tensors(target)
    weights = torch.ones(478)
    assert wing_loss(mesh, mesh, weights).abs().max() == 0
    unit = inter_ocular(mesh)[:, None, None]
    below, above = (wing_loss(mesh + unit * d, mesh, weights) for d in (0.03999, 0.04001))
    assert torch.allclose(below, above, atol=1e-4)


def test_errors_are_in_inter_ocular_distances():
    predicted, target = meshes(0.02)
    got = relative_errors(*tensors(predicted, target)).numpy()
    plain = np.hypot(*np.moveaxis((predicted - target)[..., :2], -1, 0))
    assert np.allclose(got, plain / eye_distance(target)[:, None], rtol=1e-4)


def test_confidence_target_is_bounded():
    errors = torch.tensor([[0.0, 0.0], [0.05, 0.05], [0.1, 0.1], [5.0, 5.0]])
    assert torch.allclose(confidence_target(errors, 0.1), torch.tensor([1, 0.5, 0, 0]), atol=1e-6)


def test_confidence_loss_is_cross_entropy_without_gradient_to_the_target():
    logit = torch.tensor([0.3, -2.0], requires_grad=True)
    target = torch.tensor([0.8, 0.1], requires_grad=True)
    loss = confidence_loss(logit, target)
    p, t = 1 / (1 + np.exp(-np.array([0.3, -2.0]))), np.array([0.8, 0.1])
    assert np.allclose(loss.detach(), -(t * np.log(p) + (1 - t) * np.log(1 - p)), rtol=1e-5)
    loss.sum().backward()
    assert logit.grad is not None
    assert target.grad is None
