"""Augmentations on batches of tensors, on any device; every draw comes from the given generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.training.augmentation import AugmentConfig, DefectConfig


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform draws on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def chance(n: int, probability: float, generator: torch.Generator) -> Tensor:
    """(n, 1, 1, 1) float mask: 1 with ``probability``."""
    return (uniform((n, 1, 1, 1), 0, 1, generator) < probability).float()


def affine_matrices(
    n: int,
    *,
    roll: Tensor,
    scale: float,
    shift: float,
    anisotropy: float,
    generator: torch.Generator,
) -> Tensor:
    """(n, 2, 3) matrices from output to input, both in units where the crop spans [-1, 1].

    Args:
        n: batch size.
        roll: (n,) degrees.
        scale: largest relative change of size (log-uniform).
        shift: largest shift as a fraction of the output crop.
        anisotropy: largest relative stretch and shear.
        generator: source of randomness.
    """
    angle = torch.deg2rad(roll)
    zoom = torch.exp(uniform((n,), -scale, scale, generator))
    stretch = torch.exp(uniform((n,), -anisotropy, anisotropy, generator) / 2)
    shear = uniform((n,), -anisotropy, anisotropy, generator)
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b = zoom * stretch, zoom * shear
    d = zoom / stretch
    move = uniform((n, 2), -2 * shift, 2 * shift, generator)
    first = torch.stack([cos * a, cos * b - sin * d, move[:, 0]], 1)
    second = torch.stack([sin * a, sin * b + cos * d, move[:, 1]], 1)
    return torch.stack([first, second], 1)


def apply_inverse(matrices: Tensor, points: Tensor) -> Tensor:
    """Map (n, P, 2) input points to output points of ``affine_matrices``."""
    linear = torch.linalg.inv(matrices[:, :, :2].float())
    moved: Tensor = (points - matrices[:, None, :, 2]) @ linear.transpose(1, 2)
    return moved


def smooth_field(
    n: int, size: int, amplitude: float, generator: torch.Generator, *, knots: int = 5
) -> Tensor:
    """(n, 2, size, size) smooth random displacements with the given standard deviation."""
    coarse = torch.randn((n, 2, knots, knots), generator=generator, device=generator.device)
    # Two cheap steps: cubic to a coarse grid, linear from there.
    medium = F.interpolate(coarse * amplitude, (32, 32), mode="bicubic", align_corners=True)
    return F.interpolate(medium, (size, size), mode="bilinear", align_corners=True)


def photometric(image: Tensor, generator: torch.Generator, *, strength: float = 1.0) -> Tensor:
    """Change light and colour of (n, 3, h, w) images in [0, 1]: exposure, cast, contrast, gamma.

    Per-pixel and monotone, so applying it to a picture before and after makeup with the same
    draws keeps the pair true.
    """
    n = image.shape[0]
    gain = torch.exp2(uniform((n, 1, 1, 1), -0.6, 0.45, generator) * strength)
    cast = torch.exp2(uniform((n, 3, 1, 1), -0.18, 0.18, generator) * strength)
    gamma = torch.exp2(uniform((n, 1, 1, 1), -0.35, 0.35, generator) * strength)
    contrast = torch.exp2(uniform((n, 1, 1, 1), -0.3, 0.3, generator) * strength)
    saturation = torch.exp2(uniform((n, 1, 1, 1), -0.6, 0.5, generator) * strength)
    image = image.clamp(1e-4, 1).pow(gamma) * gain * cast
    image = (image - 0.5) * contrast + 0.5
    grey = image.mean(1, keepdim=True)
    return (grey + (image - grey) * saturation).clamp(0, 1)


def gaussian_blur(image: Tensor, sigma: Tensor, *, radius: int = 4) -> Tensor:
    """Blur each (3, h, w) image by its own sigma in pixels; 0 leaves it as it is."""
    n, channels, height, width = image.shape
    x = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (x[None] / sigma.reshape(n, 1).clamp_min(1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = image.reshape(1, n * channels, height, width)
    flat = F.pad(flat, (radius, radius, radius, radius), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=n * channels)
    return flat.reshape(n, channels, height, width)


def sensor_noise(image: Tensor, generator: torch.Generator, *, largest: float) -> Tensor:
    """Add Gaussian noise of a random level up to ``largest``, partly at half resolution."""
    n, _, height, width = image.shape
    level = uniform((n, 1, 1, 1), 0, 1, generator) ** 2 * largest
    fine = torch.randn(image.shape, generator=generator, device=image.device)
    coarse = torch.randn((n, 3, height // 2, width // 2), generator=generator, device=image.device)
    coarse = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return image + level * (0.7 * fine + 0.7 * coarse)


def block_quantise(image: Tensor, strength: Tensor) -> Tensor:
    """Imitate JPEG: quantise 8x8 cosine coefficients with a step growing with frequency.

    Args:
        image: (n, 3, h, w) in [0, 1], h and w multiples of 8.
        strength: (n,) step of the lowest frequency, 0 for none; 0.02 is visible, 0.08 is poor.
    """
    n, channels, height, width = image.shape
    k = torch.arange(8, device=image.device, dtype=torch.float32)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * torch.pi / 16) * 0.5
    basis[0] *= 0.5**0.5
    blocks = image.float().reshape(n, channels, height // 8, 8, width // 8, 8)
    blocks = blocks.permute(0, 1, 2, 4, 3, 5)
    coefficients = basis @ blocks @ basis.T
    steps = strength.reshape(n, 1, 1, 1, 1, 1) * (1 + k[:, None] + k[None])
    steps = steps.clamp_min(1e-4)
    coefficients = torch.round(coefficients / steps) * steps
    blocks = basis.T @ coefficients @ basis
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, channels, height, width)


def occlude(
    image: Tensor, generator: torch.Generator, *, probability: float, strength: float = 1.0
) -> Tensor:
    """Cover part of each image, as hands, hair, cups and microphones do.

    The cover is a soft ellipse or bar, filled by another image of the batch or a flat colour;
    ``strength`` scales its size.
    """
    n, _, height, width = image.shape
    device = image.device
    y = torch.linspace(-1, 1, height, device=device)[None, :, None]
    x = torch.linspace(-1, 1, width, device=device)[None, None, :]
    centre = uniform((n, 2, 1, 1), -0.75, 0.75, generator)
    axes = torch.exp(uniform((n, 2, 1, 1), -2.3, -0.5, generator)) * strength
    angle = uniform((n, 1, 1), 0, torch.pi, generator)
    dx, dy = x - centre[:, 0], y - centre[:, 1]
    u = (dx * torch.cos(angle) + dy * torch.sin(angle)) / axes[:, 0]
    v = (-dx * torch.sin(angle) + dy * torch.cos(angle)) / axes[:, 1]
    power = torch.where(uniform((n, 1, 1), 0, 1, generator) < 0.5, 2.0, 8.0)
    distance = u.abs() ** power + v.abs() ** power
    mask = torch.sigmoid((1 - distance) * 20)[:, None]
    mask = mask * chance(n, probability, generator)
    order = torch.randperm(n, generator=generator, device=device)
    colour = uniform((n, 3, 1, 1), 0, 1, generator)
    blend = uniform((n, 1, 1, 1), 0, 1, generator).round()
    filler = blend * image[order].flip(2) + (1 - blend) * colour.expand_as(image)
    return image * (1 - mask) + filler * mask


def disturb(image: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Everything of a recipe but its geometry, on (n, 3, h, w) images in [0, 1].

    Pictures come in random order, so the share of a defect is a slice of the batch: it costs only
    where it shows. At strength 1: a blur of up to 1.6 pixels, noise of up to 8 % of full scale.
    """
    n = len(image)
    poor = int(n * config.degraded + 1e-9)
    image = image.clone()
    light = config.photometric
    if light.enabled:
        if light.strength > 0:
            image = photometric(image, generator, strength=light.strength)
        grey = int(n * light.grey + 1e-9)
        image[:grey] = image[:grey].mean(1, keepdim=True)
    part = _slice(poor, config.blur, 0.05)
    if part.stop > part.start:
        sigma = uniform((part.stop - part.start,), 0.2, 1.6, generator) * config.blur.strength
        image[part] = gaussian_blur(image[part], sigma)
    covered = config.occlusion
    if covered.active:
        image = occlude(image, generator, probability=covered.share, strength=covered.strength)
    part = _slice(poor, config.noise, 0.25)
    if part.stop > part.start:
        image[part] = sensor_noise(image[part], generator, largest=0.08 * config.noise.strength)
    part = _slice(poor, config.jpeg, 0.40)
    if part.stop > part.start:
        strength = uniform((part.stop - part.start,), 0.0, 0.05, generator) * config.jpeg.strength
        image[part] = block_quantise(image[part], strength)
    return image.clamp(0, 1)


def _slice(n: int, defect: DefectConfig, start: float) -> slice:
    """A share of ``n`` pictures; defects start at different places, so that they mix."""
    share = defect.active
    start = min(start, 1 - share)
    return slice(int(n * start + 1e-9), int(n * (start + share) + 1e-9))
