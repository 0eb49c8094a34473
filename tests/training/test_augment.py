from __future__ import annotations

import numpy as np
import pytest
import torch

from visagist.training import augment


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def matrices(n: int, generator: torch.Generator, **changes: float) -> torch.Tensor:
    ranges = {"scale": 0.2, "shift": 0.1, "anisotropy": 0.1} | changes
    roll = augment.uniform((n,), -90, 90, generator)
    return augment.affine_matrices(n, roll=roll, generator=generator, **ranges)


def test_affine_inverse(generator):
    m = matrices(16, generator)
    points = augment.uniform((16, 9, 2), -1, 1, generator)
    there = points @ m[:, :, :2].transpose(1, 2) + m[:, None, :, 2]
    assert torch.allclose(augment.apply_inverse(m, there), points, atol=1e-5)


def test_affine_of_nothing_is_a_rotation(generator):
    roll = torch.tensor([0.0, 30.0, -120.0])
    m = augment.affine_matrices(3, roll=roll, scale=0, shift=0, anisotropy=0, generator=generator)
    for matrix, degrees in zip(m.numpy(), roll.numpy(), strict=True):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        assert np.allclose(matrix, [[c, -s, 0], [s, c, 0]], atol=1e-6)


def test_draws_follow_from_the_generator():
    first, second = (matrices(4, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, matrices(4, torch.Generator().manual_seed(6)))


def test_light_is_monotone_and_stays_in_range(generator):
    grey = torch.linspace(0, 1, 64).reshape(1, 1, 1, 64).expand(32, 3, 8, 64)
    out = augment.photometric(grey, generator, strength=1.0)
    assert out.min() >= 0
    assert out.max() <= 1
    # The mean over R, G and B does not depend on saturation until it is clipped.
    assert (out.mean(1).diff(dim=2) >= -1e-5).all()
    calm = torch.rand((2, 3, 8, 8), generator=generator).clamp(1e-4, 1)
    assert torch.allclose(augment.photometric(calm, generator, strength=0.0), calm, atol=1e-5)


def test_blur_keeps_the_mean_and_zero_does_nothing(generator):
    image = torch.zeros((3, 3, 32, 32))
    image[:, :, 10:22, 10:22] = torch.rand((3, 3, 12, 12), generator=generator)
    sigma = torch.tensor([0.0, 0.8, 1.6])
    out = augment.gaussian_blur(image, sigma)
    assert torch.allclose(out[0], image[0])
    assert torch.allclose(out.mean((2, 3)), image.mean((2, 3)), rtol=1e-4)
    roughness = out.diff(dim=3).abs().mean((1, 2, 3))
    assert roughness[0] > roughness[1] > roughness[2]
    spot = torch.zeros((1, 1, 9, 9))
    spot[0, 0, 4, 4] = 1
    got = augment.gaussian_blur(spot, torch.tensor([1.0]))[0, 0].numpy()
    taps = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    assert np.allclose(got, np.outer(taps, taps) / taps.sum() ** 2, atol=1e-6)


def test_block_quantise(generator):
    image = torch.rand((3, 3, 16, 24), generator=generator)
    out = augment.block_quantise(image, torch.tensor([0.0, 0.02, 0.08]))
    error = (out - image).abs().mean((1, 2, 3))
    assert error[0] < 1e-4
    assert error[0] < error[1] < error[2]
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert torch.allclose(augment.block_quantise(flat, torch.tensor([0.08])), flat, atol=0.01)


def test_noise_and_cover(generator):
    image = torch.full((64, 3, 32, 32), 0.5)
    noisy = augment.sensor_noise(image, generator, largest=0.1) - image
    assert abs(float(noisy.mean())) < 2e-3
    assert float(noisy.std((1, 2, 3)).max()) < 0.11
    assert torch.equal(augment.occlude(image, generator, probability=0.0), image)
    covered = augment.occlude(image, generator, probability=1.0)
    assert ((covered - image).abs().amax((1, 2, 3)) > 1e-3).float().mean() > 0.3


def test_smooth_field_has_its_size_and_is_smooth(generator):
    field = augment.smooth_field(200, 64, 0.05, generator)
    assert field.shape == (200, 2, 64, 64)
    assert 0.02 < float(field.std()) < 0.06
    assert float(field.diff(dim=3).abs().max()) < 0.03
