from __future__ import annotations

import numpy as np
import pytest
import torch

from visagist.recognition.losses.margins import AdaFace, ArcFace, CosFace, Margin, margin_logits

COSINES = np.array([-0.999, -0.95, -0.88, -0.87, -0.3, 0.0, 0.4, 0.87, 0.99])
LENGTHS = np.array([3.0, 9.0, 14.0, 18.0, 20.0, 22.0, 25.0, 40.0, 300.0])


def tensors():
    return torch.from_numpy(COSINES), torch.from_numpy(LENGTHS)


def test_arcface():
    m = 0.5
    angles = np.arccos(COSINES)
    wanted = np.where(angles + m < np.pi, np.cos(angles + m), COSINES - m * np.sin(m))
    np.testing.assert_allclose(ArcFace(m)(*tensors()).numpy(), wanted, atol=1e-12)


def test_arcface_is_monotone_but_for_its_step():
    cosines = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    values = ArcFace(0.5)(cosines, torch.ones_like(cosines))
    falls = (values.diff() < 0).nonzero()[:, 0]
    # where the two rules meet, at theta = pi - m, the straight one ends higher
    assert len(falls) <= 1
    assert all(abs(float(cosines[i]) + np.cos(0.5)) < 1e-3 for i in falls)


def test_cosface_and_none():
    np.testing.assert_allclose(CosFace(0.35)(*tensors()).numpy(), COSINES - 0.35)
    np.testing.assert_allclose(Margin()(*tensors()).numpy(), COSINES)


def test_adaface():
    m, h, mean, deviation = 0.4, 0.333, 20.0, 8.0
    margin = AdaFace(m, h)
    margin.mean.fill_(mean)
    margin.deviation.fill_(deviation)
    quality = np.clip((np.clip(LENGTHS, 1e-3, 100) - mean) / (deviation + 1e-3) * h, -1, 1)
    assert quality[0] < -0.7
    assert quality[-1] == 1
    angles = np.clip(np.arccos(COSINES) - m * quality, 1e-3, np.pi - 1e-3)
    wanted = np.cos(angles) - m - m * quality
    np.testing.assert_allclose(margin(*tensors()).numpy(), wanted, atol=1e-7)


def test_adaface_follows_the_lengths_it_is_shown():
    margin = AdaFace(momentum=0.1)
    _, lengths = tensors()
    margin.observe(lengths)
    clipped = np.clip(LENGTHS, 1e-3, 100)
    assert float(margin.mean) == pytest.approx(0.9 * 20 + 0.1 * clipped.mean(), rel=1e-6)
    assert float(margin.deviation) == pytest.approx(90 + 0.1 * clipped.std(ddof=1), rel=1e-6)
    before = margin.mean.clone()
    margin.observe(lengths[:1])  # one face has no deviation
    margin(*tensors())
    assert torch.equal(margin.mean, before)
    assert set(margin.state_dict()) == {"mean", "deviation"}


@pytest.mark.parametrize("margin", [ArcFace(0.5), CosFace(0.35), AdaFace(), Margin()])
def test_gradients(margin):
    cosines = torch.tensor([-0.6, -0.2, 0.1, 0.9], dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([19.0, 21, 5, 60], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: margin(c, lengths.detach()), (cosines,))
    margin(cosines, lengths).sum().backward()
    assert lengths.grad is None


@pytest.mark.parametrize("margin", [ArcFace(0.5), CosFace(0.35), AdaFace()])
def test_a_perfect_match_has_a_finite_gradient(margin):
    cosines = torch.tensor([1.0, -1.0, 1.0000001], requires_grad=True)
    values = margin(cosines, torch.full((3,), 20.0))
    values.sum().backward()
    assert cosines.grad is not None
    assert cosines.grad.isfinite().all()
    assert values.isfinite().all()


def test_only_the_right_class_of_labelled_rows_changes():
    cosines = torch.tensor([[0.5, 0.1, -0.2], [0.3, 0.2, 0.9], [0.7, 0.0, 0.0]])
    labels = torch.tensor([0, -1, 2])
    logits = margin_logits(cosines, labels, torch.ones(3), CosFace(0.35), 32.0)
    wanted = 32 * cosines
    wanted[0, 0] -= 32 * 0.35
    wanted[2, 2] -= 32 * 0.35
    torch.testing.assert_close(logits, wanted)
    torch.testing.assert_close(
        margin_logits(cosines, torch.full((3,), -1), torch.ones(3), ArcFace(), 32.0), 32 * cosines
    )
