"""Formulas against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from visagist.swap.config import MaskConfig
from visagist.swap.face_map import face_map
from visagist.swap.losses import (
    discriminator_loss,
    feature_distance,
    generator_loss,
    identity_loss,
    mask_losses,
    matching_loss,
    pixel_loss,
    pixel_weights,
)

RNG = np.random.default_rng(4)


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x)


def test_identity_loss_is_a_mean_over_all_samples():
    a = RNG.normal(size=(5, 8))
    b = RNG.normal(size=(5, 8))
    a[0] = b[0]  # past the margin: costs nothing, and still counts
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    expected = np.maximum(1 - (a * b).sum(1) - 0.02, 0).mean()
    assert float(identity_loss(tensor(a), tensor(b))) == pytest.approx(expected, rel=1e-12)


def test_identity_gradient_does_not_grow_when_others_are_done():
    """The release divides by the samples past the margin, so the last bad one is pushed hardest."""
    wanted = torch.eye(4, dtype=torch.float64)
    bad = torch.tensor([0.6, 0.8, 0, 0], dtype=torch.float64)

    def pushed(others: torch.Tensor) -> torch.Tensor:
        vectors = torch.cat([bad[None], others]).requires_grad_()
        identity_loss(vectors, wanted).backward()
        return vectors.grad[0]

    assert torch.equal(pushed(wanted[1:]), pushed(wanted[1:].roll(1, 0)))


def test_adversarial_losses():
    real, fake = ([RNG.normal(size=(3, 1, s, s)) * 2 for s in (5, 3)] for _ in range(2))
    weights = (1.0, 0.02)
    d = sum(
        w * 0.5 * (np.maximum(1 - r, 0).mean() + np.maximum(1 + f, 0).mean())
        for w, r, f in zip(weights, real, fake, strict=True)
    )
    g = sum(-w * f.mean() for w, f in zip(weights, fake, strict=True))
    reals, fakes = [tensor(x) for x in real], [tensor(x) for x in fake]
    assert float(discriminator_loss(reals, fakes, weights)) == pytest.approx(d, rel=1e-12)
    assert float(generator_loss(fakes, weights)) == pytest.approx(g, rel=1e-12)


def test_adversarial_strength_does_not_depend_on_the_batch():
    x = tensor(RNG.normal(size=(1, 1, 4, 4)))  # in float32 a mean near 0 has few digits
    one, four = (generator_loss([x.repeat(n, 1, 1, 1)], (1.0,)) for n in (1, 4))
    assert float(one) == pytest.approx(float(four), rel=1e-9)


def test_the_generators_gradient_does_not_vanish_past_the_margin():
    logits = torch.full((2, 1, 3, 3), 7.0, requires_grad=True)
    generator_loss([logits], (1.0,)).backward()
    assert bool((logits.grad != 0).all())


def test_pixel_loss_and_its_weights():
    image, label = RNG.uniform(-1, 1, (2, 3, 3, 8, 8))
    truth = np.array([1.0, 0.0, 0.5])
    face = face_map(8).double()
    weights = pixel_weights(tensor(truth), face, background=0.25)
    expected = np.broadcast_to(truth[:, None, None, None], (3, 1, 8, 8)).copy()
    expected[1] = 0.25 * (1 - face[0].numpy())
    assert np.allclose(weights.numpy(), expected)
    wanted = (expected * (image - label) ** 2).mean()
    got = pixel_loss(tensor(image), tensor(label), weights)
    assert float(got) == pytest.approx(wanted, rel=1e-12)


def test_a_sample_without_truth_is_pulled_nowhere_in_the_face():
    """Black where there is no truth is the release's worst fault."""
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    weights = pixel_weights(torch.zeros(1), face_map(32), background=1.0)
    pixel_loss(image, torch.full_like(image, -1.0), weights).backward()
    assert float(image.grad[..., 14:20, 14:18].abs().max()) == 0
    assert float(image.grad[..., :3, :3].abs().min()) > 0


def test_black_is_a_colour_where_there_is_a_truth():
    image = torch.zeros(1, 3, 8, 8, requires_grad=True)
    weights = pixel_weights(torch.ones(1), face_map(8), background=0.0)
    pixel_loss(image, torch.full_like(image, -1.0), weights).backward()
    assert bool((image.grad > 0).all())


def test_feature_distance():
    maps, labels = ([RNG.normal(size=(2, c, 4, 4)) for c in (3, 5)] for _ in range(2))
    weights = RNG.uniform(size=(2, 1, 4, 4))
    expected = np.mean(
        [
            (weights * np.abs(m - t)).mean() / np.abs(t).mean()
            for m, t in zip(maps, labels, strict=True)
        ]
    )
    got = feature_distance([tensor(m) for m in maps], [tensor(t) for t in labels], tensor(weights))
    assert float(got) == pytest.approx(expected, rel=1e-12)


def test_feature_distance_weighs_places_at_every_resolution():
    weights = torch.zeros(1, 1, 8, 8)
    weights[..., :4] = 1
    wrong_right = torch.zeros(1, 2, 4, 4)
    wrong_right[..., 2:] = 1
    label = torch.zeros(1, 2, 4, 4) + 0.5
    assert float(feature_distance([label + wrong_right], [label], weights)) == 0
    assert float(feature_distance([label + wrong_right.flip(3)], [label], weights)) > 0


def test_matching_loss_changes_the_fake_alone():
    fake, real = (torch.randn(2, 3, 2, 2, requires_grad=True) for _ in range(2))
    matching_loss(fake, real).backward()
    assert fake.grad is not None
    assert real.grad is None


def test_mask_losses():
    mask = RNG.uniform(size=(3, 1, 8, 8)) * np.array([0.1, 0.8, 1.9]).reshape(3, 1, 1, 1)
    mask = np.minimum(mask, 1)
    core = face_map(8, scale=0.6).double().numpy()
    config = MaskConfig(area=2.0, least=0.3, most=0.5, core=0.4, smooth=0.1)
    area = mask.mean((1, 2, 3))
    excess = np.maximum(0.3 - area, 0) + np.maximum(area - 0.5, 0)
    expected = {
        "mask_area": 2.0 * (excess**2).mean(),
        "mask_core": 0.4 * (core * (1 - mask)).mean() / core.mean(),
        "mask_smooth": 0.1
        * (np.abs(np.diff(mask, axis=3)).mean() + np.abs(np.diff(mask, axis=2)).mean()),
    }
    got = mask_losses(tensor(mask), tensor(core), config)
    assert {k: float(v) for k, v in got.items()} == pytest.approx(expected, rel=1e-9)


def test_copying_the_target_costs():
    """A mask of nothing is the collapse that the guards are for."""
    core, config = face_map(16, scale=0.6), MaskConfig()
    nothing, face = (
        sum(float(v) for v in mask_losses(mask, core, config).values())
        for mask in (torch.zeros(1, 1, 16, 16), face_map(16))
    )
    assert nothing > face + 0.2


def test_the_face_is_in_the_middle():
    face = face_map(64)[0, 0]
    assert float(face[35, 32]) == 1
    assert float(face[0].max()) == float(face[:, 0].max()) == 0
    assert torch.allclose(face, face.flip(1))
    assert float(face_map(64, scale=0.5).sum()) < 0.4 * float(face.sum())
