"""Patch discriminators at three scales, as published: widths 16 to 256, spectral normalisation.

702,641 parameters each (Yu et al. 2022; Isola et al. 2017 for the patches, Miyato et al. 2018 for
the normalisation).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from visagist.swap.config import AdversarialConfig

__all__ = ["Discriminators", "PatchDiscriminator"]


class PatchDiscriminator(nn.Module):
    """(n, 3, s, s) to one logit a patch, and to the deep maps that they are made of."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        channels = [3, *(width * 2**level for level in range(levels + 1))]
        layers: list[nn.Module] = []
        for number in range(levels + 1):
            stride = 2 if number < levels else 1
            convolution = nn.Conv2d(channels[number], channels[number + 1], 4, stride, 2)
            layers.append(spectral_norm(convolution))
            if number:
                layers.append(nn.BatchNorm2d(channels[number + 1]))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.body = nn.Sequential(*layers)
        self.head = spectral_norm(nn.Conv2d(channels[-1], 1, 4, 1, 2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 1, h, w) and maps (n, c, h - 1, w - 1)."""
        maps = self.body(image)
        return self.head(maps), maps


class Discriminators(nn.ModuleList):
    """One for the full side, a half and a quarter of it, finest first."""

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__(
            PatchDiscriminator(config.width, config.levels) for _ in range(len(config.weights))
        )

    def forward(self, images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Logits and maps of each scale."""
        return [judge(image) for judge, image in zip(self, images, strict=True)]
