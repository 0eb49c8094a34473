"""Losses of the makeup network. Residuals are in units of 255 levels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.makeup.config import MakeupTrainingConfig


def sobel(image: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, 2, H - 2, W - 2) Sobel derivatives, normalised to a unit step."""
    kernel = image.new_tensor([[1.0, 2.0, 1.0]]) / 4
    step = image.new_tensor([[-1.0, 0.0, 1.0]]) / 2
    across = (kernel.T @ step)[None, None]
    return F.conv2d(image, torch.cat([across, across.transpose(2, 3)]))


def protected(target: Tensor, *, untouched: float = 0.5 / 255, strong: float = 8 / 255) -> Tensor:
    """Values that makeup leaves alone in patches where it is strong, 1 or 0.

    That is what lies against lips and lash lines: teeth, eyeballs, the skin beyond an edge.

    Args:
        target: (B, K, 3 p^2, P) residual patches.
        untouched: largest |residual| that counts as left alone.
        strong: least |residual| of a patch with strong makeup.
    """
    size = target.abs()
    near = size.amax(2, keepdim=True) > strong
    return ((size < untouched) & near).to(target.dtype)


def residual_losses(
    patches: Tensor,
    target: Tensor,
    eyes: Tensor,
    target_eyes: Tensor,
    config: MakeupTrainingConfig,
) -> Mapping[str, Tensor]:
    """L1 on the residual, the squared error that PSNR measures, and edges in the eye strip.

    The paper has L1 on the picture, which is L1 on the residual, and a Sobel term on the eyes
    (Jin et al. 2024; its norm is squared in one source and absolute in another: absolute here).
    The derivative is linear, so the derivative of the error is the error of the derivative.

    Args:
        patches: predicted residual patches (B, K, 3 p^2, P).
        target: the same shape.
        eyes: (N, 3, h, w) predicted residual of the eye strip.
        target_eyes: the same shape.
        config: the weights.
    """
    error = patches - target
    weight = 1 + config.protect * protected(target)
    edges = sobel((eyes - target_eyes).mean(1, keepdim=True))
    return {
        "l1": config.l1 * (error.abs() * weight).mean(),
        "l2": config.l2 * (error.square() * weight).mean(),
        "sobel": config.sobel * edges.abs().mean(),
    }


def equivariance(moved: Tensor, still: Tensor, shift: tuple[int, int]) -> Tensor:
    """|M(T x) - T M(x)| for a shift of (dx, dy) pixels, over an 8-pixel inner rim.

    Args:
        moved: (N, 3, S, S) residual of the shifted picture.
        still: (N, 3, S, S) residual of the picture itself.
        shift: how the picture was moved by :func:`torch.roll`.
    """
    rolled = torch.roll(still, (shift[1], shift[0]), (2, 3))
    return (moved - rolled)[..., 8:-8, 8:-8].abs().mean()
