"""The swap network: strided stem, work at a quarter and an eighth of the side, PixelShuffle heads.

Attributes stay at a quarter of the side, where they were seen; identity changes what is at an
eighth, and a bounded fusion map decides place by place which of the two goes on. Identity enters as
one affine map a channel (:mod:`visagist.swap.modulation`), computed once a source, and as the
source's own pixels on the target's mesh (:mod:`visagist.swap.guide`), which the network corrects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.swap.config import NetworkConfig
from visagist.swap.face_map import face_map
from visagist.swap.modulation import Modulation, SwapOutput, pieces
from visagist.swap.paper_network import PaperNetwork

__all__ = ["PatchNetwork", "SwapNetwork", "make_network"]

_PATCH = 4
_MASK_LOGITS = (-3.0, 2.0)
"""Logits of the mask outside the face and in it before training."""
_GUIDE_LOGIT = 4.0
"""The same where the guide shows the source: it is a swap already, and is taken nearly whole."""


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution and normalisation, which the export folds into one."""
    padding = (kernel - stride + 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first one's output is modulated if asked."""

    def __init__(self, width: int, embedding: int | None = None) -> None:
        super().__init__()
        self.first = _conv(width, width, 3)
        self.second = _conv(width, width, 3)
        self.modulation = None if embedding is None else Modulation(width, embedding, norm=False)

    def forward(self, x: Tensor, constants: Tensor | None = None) -> Tensor:
        """(n, c, h, w) to the same shape."""
        y = self.first(x)
        if self.modulation is not None:
            assert constants is not None
            y = self.modulation(y, constants)
        return F.relu(x + self.second(F.relu(y)))


class Head(nn.Module):
    """A picture out of maps at a quarter of the side, each place a patch."""

    def __init__(self, width: int, patch: int, kernel: int, outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, outputs * patch**2, kernel, padding=kernel // 2)
        self.patch = patch
        nn.init.normal_(self.conv.weight, std=1e-3)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, outputs, patch * h, patch * w)."""
        return F.pixel_shuffle(self.conv(x), self.patch) if self.patch > 1 else self.conv(x)


class PatchNetwork(nn.Module):
    """Target and identity in; pictures at three sides and a blend mask out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        fine, body, embedding = config.width, config.body, config.embedding
        inputs = 7 if config.guided else 3
        self.stem = nn.Sequential(_conv(inputs, fine, _PATCH, _PATCH), nn.ReLU(inplace=True))
        self.encoder = nn.Sequential(*(Block(fine) for _ in range(config.encoder_blocks)))
        self.down = nn.Sequential(_conv(fine, body, 3, 2), nn.ReLU(inplace=True))
        self.body = nn.ModuleList(Block(body, embedding) for _ in range(config.body_blocks))
        self.up = _conv(body, 4 * fine, 1)
        self.attention = nn.Conv2d(fine, 1, 1)
        self.decoder = nn.ModuleList(Block(fine, embedding) for _ in range(config.decoder_blocks))
        self.heads = nn.ModuleList(
            Head(fine, patch, config.head if patch == _PATCH else 3) for patch in (4, 2, 1)
        )
        self.mask_head = None
        self.face: Tensor
        if config.mask:
            self.mask_head = nn.Sequential(
                nn.Conv2d(fine, 16, 3, padding=1), nn.ReLU(inplace=True), Head(16, _PATCH, 3, 1)
            )
            # Learning starts from a mask around the face: from a mask of one half everywhere it
            # would first learn to copy, since at first every drawn pixel is worse than a copied one
            self.register_buffer("face", face_map(config.image_size), persistent=False)

    def _modulations(self) -> list[Modulation]:
        return [m for m in self.modules() if isinstance(m, Modulation)]

    @property
    def constants_size(self) -> int:
        """Numbers that an identity becomes: a scale and a shift for each modulated channel."""
        return sum(m.size for m in self._modulations())

    def identity_constants(self, identity: Tensor) -> Tensor:
        """(n, d) unit vectors to (n, K): once a source, for all its frames."""
        return torch.cat([m.constants(identity) for m in self._modulations()], 1)

    def draw(
        self,
        target: Tensor,
        constants: Tensor,
        guide: Tensor | None = None,
        *,
        finest: bool = False,
    ) -> SwapOutput:
        """The swap from constants that were computed before.

        Args:
            target: (n, 3, s, s) in [-1, 1], s a multiple of 8.
            constants: (n, K) of :meth:`identity_constants`.
            guide: (n, 4, s, s) where the network is guided: the picture in [-1, 1] and its share
                of the source in 0..1, of :func:`visagist.swap.guide.guide`.
            finest: the full side alone, as at run time.
        """
        cut = pieces(constants, [m.size for m in self._modulations()])
        seen, start = target, target
        if self.config.guided:
            assert guide is not None
            seen, start = torch.cat([target, guide], 1), guide[:, :3]
        attributes = self.encoder(self.stem(seen))
        x = self.down(attributes)
        for block, numbers in zip(self.body, cut, strict=False):
            x = block(x, numbers)
        x = F.pixel_shuffle(self.up(x), 2)
        share = torch.sigmoid(self.attention(x))
        x = F.relu(attributes + share * (x - attributes))
        last = len(self.decoder) - 1
        images: list[Tensor] = []
        for number, block in enumerate(self.decoder):
            if not finest and number < 2:  # a quarter, then a half of the side
                images.insert(0, self._picture(2 - number, x, start))
            x = block(x, cut[len(self.body) + number])
            if number == last:
                images.insert(0, self._picture(0, x, start))
        mask = torch.ones_like(target[:, :1])
        if self.mask_head is not None:
            # The mask learns from maps that it does not change: it cannot make copying easier.
            mask = torch.sigmoid(self.mask_head(x.detach()) + self._mask_start(target, guide))
        return SwapOutput(tuple(images), mask)

    def _mask_start(self, target: Tensor, guide: Tensor | None) -> Tensor:
        outside, inside = _MASK_LOGITS
        if self.config.guided:
            assert guide is not None
            return outside + (_GUIDE_LOGIT - outside) * guide[:, 3:]
        face = self.face
        if face.shape[-1] != target.shape[-1]:
            face = F.interpolate(face, target.shape[2:], mode="area")
        return outside + (inside - outside) * face

    def _picture(self, head: int, x: Tensor, start: Tensor) -> Tensor:
        drawn: Tensor = self.heads[head](x)
        if not self.config.residual:
            return torch.tanh(drawn)
        return drawn + (F.avg_pool2d(start, 2**head) if head else start)

    def forward(self, target: Tensor, identity: Tensor, guide: Tensor | None = None) -> SwapOutput:
        """(n, 3, s, s) in [-1, 1], (n, d) unit vectors and a guide to three pictures and a mask."""
        return self.draw(target, self.identity_constants(identity), guide)


SwapNetwork = PatchNetwork | PaperNetwork


def make_network(config: NetworkConfig) -> SwapNetwork:
    """The network that a config names."""
    return PaperNetwork(config) if config.kind == "paper" else PatchNetwork(config)
