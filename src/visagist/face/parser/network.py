"""The parser: a 256x256 crop in, one logit a class and pixel out, at half that resolution."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from visagist.face.mesh.network import ResidualBlock
from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import ParserNetworkConfig


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ParserNetwork(nn.Module):
    """Encoder to 1/32, decoder back to 1/4, PixelShuffle to the logits' resolution.

    Little runs at high resolution, where small channels waste the processor; the coarse levels see
    the whole head and cost next to nothing. The last decoder step mixes channels only: a 3x3
    convolution there would be a quarter of the network's time.
    """

    def __init__(self, config: ParserNetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths, depths = config.widths, config.depths
        # 7x7, so that the patches overlap and an edge between two of them is not lost.
        stages = [nn.Sequential(*_conv(3, widths[0], kernel=7, stride=4))]
        for above, width in pairwise(widths):
            stages.append(nn.Sequential(*_conv(above, width, stride=2)))
        for stage, width, depth in zip(stages, widths, depths, strict=True):
            stage.extend(ResidualBlock(width) for _ in range(depth))
        self.stages = nn.ModuleList(stages)
        # From each level to the next finer one, coarsest first.
        levels = list(range(len(widths) - 2, -1, -1))
        self.lateral = nn.ModuleList(
            nn.Conv2d(widths[i + 1], widths[i], 1, bias=False) for i in levels
        )
        self.merge = nn.ModuleList(_conv(widths[i], widths[i], 3 if i else 1) for i in levels)
        self.head = nn.Conv2d(widths[0], len(CLASSES) * config.upsample**2, 1)
        self.shuffle = nn.PixelShuffle(config.upsample)

    def forward(self, image: Tensor) -> Tensor:
        """Classify every pixel.

        Args:
            image: (B, 3, S, S) float in [-1, 1].

        Returns:
            (B, 8, S/4*upsample, S/4*upsample) logits in the order of ``CLASSES``.
        """
        x, features = image, []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        x = features.pop()
        for lateral, merge in zip(self.lateral, self.merge, strict=True):
            x = F.interpolate(lateral(x), scale_factor=2.0, mode="nearest")
            x = merge(x + features.pop())
        logits: Tensor = self.shuffle(self.head(x))
        return logits


def stride(config: ParserNetworkConfig) -> int:
    """Input pixels per logit, along a side."""
    return 4 // config.upsample
