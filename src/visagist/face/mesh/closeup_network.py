"""The networks behind the close-ups: a window of 64 x 64 in, the points in it out."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from visagist.face.mesh.closeups import REGIONS, SIZE, region_points
from visagist.face.mesh.network import ResidualBlock

_REACH = 8.0
"""Pixels that an output of 1 moves a point."""


class CloseupNetworkConfig(BaseModel):
    """Architecture of both networks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    widths: tuple[int, int, int] = Field((24, 48, 96), description="channels at 1/2, 1/4 and 1/8")
    depths: tuple[int, int, int] = Field((0, 2, 2), description="residual blocks at each of them")
    squeeze: int = Field(24, description="channels kept at 1/8 before the points are read off")
    hidden: int = Field(128, description="width of the layer between features and points")


class RegionNetwork(nn.Module):
    """Places the points of one region.

    Args:
        config: architecture.
        name: of the region.
    """

    mean: Tensor

    def __init__(self, config: CloseupNetworkConfig, name: str) -> None:
        super().__init__()
        _, places, _ = region_points(name)
        layers: list[nn.Module] = []
        channels = 3
        for i, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            kernel = 4 if i == 0 else 3  # the first sees every pixel the same number of times
            layers += [
                nn.Conv2d(channels, width, kernel, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                *(ResidualBlock(width) for _ in range(depth)),
            ]
            channels = width
        layers += [
            nn.Conv2d(channels, config.squeeze, 1, bias=False),
            nn.BatchNorm2d(config.squeeze),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        ]
        self.trunk = nn.Sequential(*layers)
        cells = (SIZE // 2 ** len(config.widths)) ** 2
        self.hidden = nn.Linear(config.squeeze * cells, config.hidden)
        self.points = nn.Linear(config.hidden, 2 * len(places))
        nn.init.normal_(self.points.weight, std=1e-3)
        nn.init.zeros_(self.points.bias)
        self.register_buffer("mean", torch.from_numpy(places), persistent=False)

    def forward(self, view: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [-1, 1] -> (B, P, 2) places in pixels of the window."""
        moved = self.points(torch.relu(self.hidden(self.trunk(view))))
        result: Tensor = self.mean + _REACH * moved.reshape(len(view), -1, 2)
        return result


class CloseupNetwork(nn.Module):
    """Both networks, trained and stored together."""

    def __init__(self, config: CloseupNetworkConfig) -> None:
        super().__init__()
        self.eye, self.lips = (RegionNetwork(config, name) for name in REGIONS)

    def forward(self, eyes: Tensor, lips: Tensor) -> tuple[Tensor, Tensor]:
        """Windows of eyes and of mouths -> the places of their points.

        Args:
            eyes: (B, 3, 64, 64) in [-1, 1], right ones mirrored.
            lips: (C, 3, 64, 64).
        """
        return self.eye(eyes), self.lips(lips)
