"""The two augmented views of stage 1 (EPG, section 3), on the device.

The operations are those of SimCLR and BYOL, in a fixed order: crop, mirror, colours, grey, blur,
solarise.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.generation.config import ViewsConfig
from visagist.generation.draws import Draws
from visagist.training.augment import gaussian_blur

_LUMA = (0.299, 0.587, 0.114)


def augmented_view(image: Tensor, config: ViewsConfig, draws: Draws, number: int) -> Tensor:
    """One view of each picture.

    Args:
        image: (B, 3, S, S) in [-1, 1].
        config: how strong.
        draws: of these pictures.
        number: 0 or 1; the two views differ in blur and solarisation.

    Returns:
        (B, 3, S, S) in [-1, 1].
    """
    view = (_cropped(image, config, draws) + 1) / 2
    n = len(view)
    chance = draws.spread(4)
    colours = _jittered(view, config, draws)
    view = _where(chance[:, 0] < config.jitter_share, colours, view)
    view = _where(chance[:, 1] < config.grey, _grey(view).expand_as(view), view)
    # sigmas are published for 224 px; a smaller picture has finer structure to lose
    scale = image.shape[-1] / 224
    low, high = config.blur_sigma
    sigma = (low + (high - low) * draws.spread()) * scale
    radius = max(1, math.ceil(3 * high * scale))
    if config.blur[number] > 0:
        blurred = gaussian_blur(view, sigma.reshape(n), radius=radius)
        view = _where(chance[:, 2] < config.blur[number], blurred, view)
    if config.solarize[number] > 0:
        solar = torch.where(view >= 0.5, 1 - view, view)
        view = _where(chance[:, 3] < config.solarize[number], solar, view)
    return view.clamp(0, 1) * 2 - 1


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, 1, 1, 1), yes, no)


def _cropped(image: Tensor, config: ViewsConfig, draws: Draws) -> Tensor:
    """A random part of the area, of an aspect between 3:4 and 4:3, mirrored or not."""
    area, aspect, x, y, mirror = draws.spread(5).unbind(1)
    low, high = config.crop
    share = low + (high - low) * area
    ratio = torch.exp((2 * aspect - 1) * math.log(4 / 3))
    width = (share * ratio).sqrt().clamp(max=1)
    height = (share / ratio).sqrt().clamp(max=1)
    zero = torch.zeros_like(width)
    flip = torch.where(mirror < 0.5, -1.0, 1.0)
    first = torch.stack([width * flip, zero, (2 * x - 1) * (1 - width)], 1)
    second = torch.stack([zero, height, (2 * y - 1) * (1 - height)], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _grey(view: Tensor) -> Tensor:
    weights = torch.tensor(_LUMA, device=view.device).reshape(1, 3, 1, 1)
    return (view * weights).sum(1, keepdim=True)


def _jittered(view: Tensor, config: ViewsConfig, draws: Draws) -> Tensor:
    brightness, contrast, saturation, hue = config.jitter
    change = 2 * draws.spread(4, 1, 1, 1) - 1
    view = (view * (1 + brightness * change[:, 0])).clamp(0, 1)
    mean = _grey(view).mean((2, 3), keepdim=True)
    view = (mean + (view - mean) * (1 + contrast * change[:, 1])).clamp(0, 1)
    grey = _grey(view)
    view = (grey + (view - grey) * (1 + saturation * change[:, 2])).clamp(0, 1)
    return _turned(view, 2 * math.pi * hue * change[:, 3].reshape(-1))


def _turned(view: Tensor, angle: Tensor) -> Tensor:
    """Hue turned by an angle: a rotation about the grey axis keeps the mean of R, G and B."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b = (1 + 2 * cos) / 3, (1 - cos) / 3
    c = sin / math.sqrt(3)
    rows = torch.stack([a, b - c, b + c, b + c, a, b - c, b - c, b + c, a], 1).reshape(-1, 3, 3)
    turned = torch.einsum("nij,njhw->nihw", rows, view)
    return turned.clamp(0, 1)
