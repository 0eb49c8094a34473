"""MobileFSGAN's generator (Yu et al. 2022, arXiv 2204.08339), as published.

Same width at every scale; identity enters by adaptive instance normalisation on accumulated
statistics, attributes by fusion maps. Written from the method's description; parameters are those
of the paper: 2,517,781 at width 64 with identity vectors of length 512.

What the published code does and hurts is off unless ``released`` is set: fusion maps without
bounds, reflected rims and corner-aligned resampling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.swap.config import NetworkConfig
from visagist.swap.modulation import Modulation, SwapOutput, pieces

_SLOPE = 0.01
_ENCODED = (3, 4, 5)
"""Attribute maps at the full side, a half and a quarter."""


def _act() -> nn.Module:
    return nn.LeakyReLU(_SLOPE)


class Basic(nn.Sequential):
    """Normalisation, 1x1, LeakyReLU, 3x3; whoever calls it adds the input."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 1),
            _act(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )


class Down(nn.Sequential):
    """Halves the map."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 4, 2, 1, bias=False),
            _act(),
        )


class Up(nn.Module):
    """Doubles the map."""

    def __init__(self, width: int, *, released: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(
            width, width, 3, padding=1, bias=False,
            padding_mode="reflect" if released else "zeros",
        )  # fmt: skip
        self.released = released

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, 2h, 2w)."""
        x = F.interpolate(
            self.norm(x), scale_factor=2.0, mode="bilinear", align_corners=self.released
        )
        return F.leaky_relu(self.conv(x), _SLOPE)


class IdentityBlock(nn.Module):
    """Adaptive normalisation on accumulated statistics, then the convolutions of a basic block."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.modulation = Modulation(width, embedding, norm=True)
        self.body = nn.Sequential(
            _act(),
            nn.Conv2d(width, width, 1),
            _act(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor, constants: Tensor) -> Tensor:
        """(n, c, h, w) with (n, 2c) to (n, c, h, w), the input added."""
        out: Tensor = x + self.body(self.modulation(x, constants))
        return out


class FusionBlock(nn.Module):
    """Blends in attributes by a map of one channel, then a basic block."""

    def __init__(self, width: int, *, released: bool) -> None:
        super().__init__()
        self.attention = nn.Conv2d(width, 1, 1)
        self.basic = Basic(width)
        self.released = released

    def forward(self, x: Tensor, attribute: Tensor) -> Tensor:
        """(n, c, h, w) with attributes of the same shape to the same shape."""
        share = self.attention(x)
        if not self.released:
            share = torch.sigmoid(share)
        fused = attribute + share * (x - attribute)
        out: Tensor = x + self.basic(fused)
        return out


class AttributeEncoder(nn.Module):
    """Twelve maps of the target, finest and shallowest first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(Basic(width) for _ in range(count - 1)) for count in _ENCODED
        )
        self.downs = nn.ModuleList(Down(width) for _ in _ENCODED[1:])

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(n, c, s, s) to maps of each scale."""
        maps = []
        for number, blocks in enumerate(self.blocks):
            assert isinstance(blocks, nn.ModuleList)
            if number:
                x = self.downs[number - 1](x)
            scale = [x]
            for block in blocks:
                x = x + block(x)
                scale.append(x)
            maps.append(scale)
        return maps


class IdentityEncoder(nn.Module):
    """Down to a thirty-second of the side and up to a quarter, identity at every scale."""

    def __init__(self, width: int, embedding: int, *, released: bool) -> None:
        super().__init__()
        self.first = IdentityBlock(width, embedding)
        self.downs = nn.ModuleList(Down(width) for _ in range(5))
        self.down_blocks = nn.ModuleList(IdentityBlock(width, embedding) for _ in range(5))
        self.ups = nn.ModuleList(Up(width, released=released) for _ in range(3))
        self.up_blocks = nn.ModuleList(IdentityBlock(width, embedding) for _ in range(3))

    def forward(self, x: Tensor, constants: list[Tensor]) -> Tensor:
        """(n, c, s, s) and constants of the nine blocks to (n, c, s/4, s/4)."""
        at = iter(constants)
        x = self.first(x, next(at))
        kept = []
        for down, block in zip(self.downs, self.down_blocks, strict=True):
            x = block(down(x), next(at))
            kept.append(x)
        for number, (up, block) in enumerate(zip(self.ups, self.up_blocks, strict=True)):
            x = block(up(x) + kept[3 - number], next(at))
        return x


class Decoder(nn.Module):
    """Fusion blocks at a quarter, a half and the full side, a picture at each."""

    def __init__(self, width: int, *, released: bool) -> None:
        super().__init__()
        self.fusions = nn.ModuleList(
            nn.ModuleList(FusionBlock(width, released=released) for _ in range(count))
            for count in reversed(_ENCODED)
        )
        self.ups = nn.ModuleList(Up(width, released=released) for _ in _ENCODED[1:])
        self.heads = nn.ModuleList(nn.Conv2d(width, 3, 3, padding=1) for _ in _ENCODED)

    def forward(self, x: Tensor, maps: list[list[Tensor]], *, finest: bool) -> list[Tensor]:
        """Pictures, finest first; only that one where ``finest``."""
        pictures: list[Tensor] = []
        last = len(_ENCODED) - 1
        for number, blocks in enumerate(self.fusions):
            assert isinstance(blocks, nn.ModuleList)
            if number:
                x = self.ups[number - 1](x)
            for block, attribute in zip(blocks, reversed(maps[last - number]), strict=True):
                x = block(x, attribute)
            if number == last or not finest:
                pictures.insert(0, torch.tanh(self.heads[number](x)))
        return pictures


class PaperNetwork(nn.Module):
    """MobileFSGAN: target and identity in, pictures at three sides out, no mask."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), _act())
        self.head_identity = nn.Sequential(
            nn.Conv2d(width, width, 1), _act(), nn.Conv2d(width, width, 3, padding=1, bias=False)
        )
        self.attributes = AttributeEncoder(width)
        self.identity = IdentityEncoder(width, config.embedding, released=config.released)
        self.decoder = Decoder(width, released=config.released)

    def _modulations(self) -> list[Modulation]:
        return [m for m in self.identity.modules() if isinstance(m, Modulation)]

    @property
    def constants_size(self) -> int:
        """Numbers that an identity becomes: scales and shifts of nine blocks."""
        return sum(m.size for m in self._modulations())

    def identity_constants(self, identity: Tensor) -> Tensor:
        """(n, d) unit vectors to (n, K): see :class:`visagist.swap.modulation.Modulation`."""
        return torch.cat([m.constants(identity) for m in self._modulations()], 1)

    def draw(
        self,
        target: Tensor,
        constants: Tensor,
        guide: Tensor | None = None,
        *,
        finest: bool = False,
    ) -> SwapOutput:
        """The swap from constants that were computed before; it knows no guide."""
        first = self.head(target)
        maps = self.attributes(first)
        x = self.identity(
            self.head_identity(first), pieces(constants, [m.size for m in self._modulations()])
        )
        pictures = self.decoder(x, maps, finest=finest)
        return SwapOutput(tuple(pictures), torch.ones_like(target[:, :1]))

    def forward(self, target: Tensor, identity: Tensor, guide: Tensor | None = None) -> SwapOutput:
        """(n, 3, s, s) in [-1, 1] and (n, d) unit vectors to pictures in [-1, 1]; s % 32 = 0."""
        return self.draw(target, self.identity_constants(identity))
