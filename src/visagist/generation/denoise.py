"""What the network's output means: a clean picture at any noise level, or in one step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.generation.config import NetworkConfig
from visagist.generation.network import apply_residual
from visagist.generation.noise import (
    SIGMA_MIN,
    input_scale,
    output_scale,
    shift,
    sinusoid,
    skip_scale,
)

Levels = NDArray[np.float64]


def column(values: Levels, like: Tensor) -> Tensor:
    """(B,) numbers as float32 (B, 1, 1, 1) on the device of ``like``."""
    return torch.from_numpy(np.asarray(values, np.float32)).to(like.device).reshape(-1, 1, 1, 1)


def time_condition(sigma: Levels, width: int, like: Tensor) -> Tensor:
    """(B, width) float32 sinusoid of shifted levels on the device of ``like``."""
    return torch.from_numpy(sinusoid(sigma, width)).to(like.device)


@dataclass(frozen=True, slots=True)
class Given:
    """What a picture is made from beside noise.

    Attributes:
        label: (B,) classes, or nothing.
        condition: (B, C, S, S) from :func:`~visagist.generation.network.condition_input`.
    """

    label: Tensor | None = None
    condition: Tensor | None = None


NOTHING = Given()


def clean_estimate(
    model: nn.Module,
    config: NetworkConfig,
    noisy: Tensor,
    sigma: Levels,
    given: Given = NOTHING,
) -> Tensor:
    """D(x_sigma) = net(c_in x_sigma, 250 ln sigma), without a skip (EPG, section 5).

    Args:
        model: the network, wrapped or not.
        config: its configuration.
        noisy: (B, 3, S, S) x + sigma * eps.
        sigma: (B,) levels of this size of picture.
        given: class and source.

    Returns:
        (B, 3, S, S) estimate of x.
    """
    time = time_condition(sigma, config.encoder_width, noisy)
    scaled = noisy * column(input_scale(sigma), noisy)
    output: Tensor = model(scaled, time, given.label, given.condition)
    if config.residual and given.condition is not None:
        output = output * config.residual_scale if config.residual_scale != 1 else output
        output = apply_residual(output, given.condition, config.masks)
    return output


def consistent_estimate(
    model: nn.Module,
    config: NetworkConfig,
    noisy: Tensor,
    sigma: Levels,
    given: Given = NOTHING,
) -> Tensor:
    """f(x_t, t) = c_skip x_t + c_out net, which is x_t itself at the lowest level (section 6).

    Arguments as in :func:`clean_estimate`.
    """
    least = SIGMA_MIN * shift(config.image_size)
    inner = clean_estimate(model, config, noisy, sigma, given)
    skip = column(skip_scale(sigma, least), noisy)
    return skip * noisy + column(output_scale(sigma, least), noisy) * inner.float()
