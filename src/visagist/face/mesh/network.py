"""The mesh network: a loose 128x128 crop in, 478 points and a confidence out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visagist.face.mesh.config import MeshNetworkConfig
from visagist.face.topology import N_POINTS, canonical_points


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation (folded at export) and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return torch.relu(x + self.body(x))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class MeshNetwork(nn.Module):
    """Regresses the mesh relative to the mean shape.

    The flattened 1/16-resolution map is projected to a small hidden layer, so that the last layer
    acts as a learned linear shape model.
    """

    mean: Tensor

    def __init__(self, config: MeshNetworkConfig) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        channels = 3
        for width, depth in zip(config.widths, config.depths, strict=True):
            stages.append(_down(channels, width))
            stages.extend(ResidualBlock(width) for _ in range(depth))
            channels = width
        self.trunk = nn.Sequential(*stages)
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, config.squeeze, 1, bias=False),
            nn.BatchNorm2d(config.squeeze),
            nn.ReLU(inplace=True),
        )
        cells = (config.input_size // 2 ** len(config.widths)) ** 2
        self.hidden = nn.Linear(config.squeeze * cells, config.hidden)
        self.points = nn.Linear(config.hidden, N_POINTS * 3)
        self.confidence = nn.Linear(config.hidden, 1)
        nn.init.normal_(self.points.weight, std=1e-3)
        nn.init.zeros_(self.points.bias)
        self.register_buffer("mean", mean_shape(config.field), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Predict points and a confidence logit.

        Args:
            image: (B, 3, S, S) float in [-1, 1].

        Returns:
            points (B, 478, 3) in crop units (0..1 across the crop, z on the same scale), and the
            logit (B,) whose sigmoid is the confidence.
        """
        features = self.squeeze(self.trunk(image)).flatten(1)
        hidden = torch.relu(self.hidden(features))
        offsets = self.points(hidden).unflatten(1, (N_POINTS, 3))
        return self.mean + offsets, self.confidence(hidden).squeeze(1)


def mean_shape(field: float) -> Tensor:
    """(478, 3) canonical face in units of a crop that is ``field`` canonical crops wide."""
    shape = torch.from_numpy(canonical_points().copy()) / 256
    shape[:, :2] = (shape[:, :2] - 0.5) / field + 0.5
    shape[:, 2] /= field
    return shape
