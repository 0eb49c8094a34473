"""How an identity enters a network: one scale and one shift a channel, computed once a source."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Modulation", "SwapOutput", "blend", "pieces"]


class SwapOutput(NamedTuple):
    """What a swap network draws.

    Attributes:
        images: (n, 3, s, s), then a half and a quarter of the side where they are asked for;
            about [-1, 1], before blending.
        mask: (n, 1, s, s) share of the first image in the result, 0 to 1.
    """

    images: tuple[Tensor, ...]
    mask: Tensor


def blend(image: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """The drawn picture where the mask is 1, the target where it is 0, mixed between."""
    return target + mask * (image - target)


def pieces(constants: Tensor, sizes: list[int]) -> list[Tensor]:
    """Cut (n, K) constants by slices: ``split`` becomes an operator that few engines take."""
    cut, at = [], 0
    for size in sizes:
        cut.append(constants[:, at : at + size])
        at += size
    return cut


class Modulation(nn.Module):
    """x * sigma(e) + mu(e) for each channel, sigma and mu linear in the identity.

    With ``norm`` x is normalised first, by the batch's statistics while training and by the running
    ones at test time; those are folded into the constants, so that a frame costs one affine map:
    scale = sigma / std, shift = mu - mean * sigma / std.

    Args:
        width: channels.
        embedding: length of the identity vector.
        norm: whether to normalise here; else whoever comes before has done it.
    """

    def __init__(self, width: int, embedding: int, *, norm: bool) -> None:
        super().__init__()
        self.width = width
        self.norm = nn.BatchNorm2d(width, affine=False) if norm else None
        self.scale = nn.Linear(embedding, width)
        self.shift = nn.Linear(embedding, width)
        # An identity is a unit vector: entries are small, and so would be its effect at first.
        for linear, start in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.normal_(linear.weight, std=0.3)
            nn.init.constant_(linear.bias, start)

    @property
    def size(self) -> int:
        """Numbers a channel takes, times the channels."""
        return 2 * self.width

    def constants(self, identity: Tensor) -> Tensor:
        """(n, d) to (n, 2c): scales, then shifts."""
        scale, shift = self.scale(identity), self.shift(identity)
        if self.norm is not None and not self.training:
            assert self.norm.running_mean is not None
            assert self.norm.running_var is not None
            scale = scale * torch.rsqrt(self.norm.running_var + self.norm.eps)
            shift = shift - self.norm.running_mean * scale
        return torch.cat([scale, shift], 1)

    def forward(self, x: Tensor, constants: Tensor) -> Tensor:
        """(n, c, h, w) and (n, 2c) to (n, c, h, w)."""
        if self.norm is not None and self.training:
            x = self.norm(x)
        scale, shift = constants[:, : self.width], constants[:, self.width :]
        return x * scale[:, :, None, None] + shift[:, :, None, None]
