"""The embedding network: a residual net whose wide convolutions are products of thin ones."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from visagist.recognition.config import NetworkConfig
from visagist.recognition.mobilefacenet import MobileFaceNet

__all__ = ["EmbeddingNetwork", "make_network"]


class Convolution(nn.Sequential):
    """A 3x3 convolution, whole or in factors 1x1, 3x3, 1x1 (Tucker-2).

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: 2 without padding, as dlib halves its maps, or 1 with.
        rank: width between the factors; 0 leaves the convolution whole.
        norm: batch normalisation behind it, else a bias in it.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, rank: int, norm: bool) -> None:
        padding = 1 if stride == 1 else 0
        if rank:
            thin = min(rank, inputs)
            layers: list[nn.Module] = [
                nn.Conv2d(inputs, thin, 1, bias=False),
                nn.Conv2d(thin, rank, 3, stride, padding, bias=False),
                nn.Conv2d(rank, outputs, 1, bias=not norm),
            ]
        else:
            layers = [nn.Conv2d(inputs, outputs, 3, stride, padding, bias=not norm)]
        super().__init__(*layers, *([nn.BatchNorm2d(outputs)] if norm else []))


class Block(nn.Module):
    """Two convolutions around a shortcut without weights.

    Where the block halves the map the shortcut is a 2x2 mean; the smaller of the two is padded with
    zeros to the size and the channels of the other, as dlib does.
    """

    def __init__(self, inputs: int, outputs: int, *, down: bool, rank: int, norm: bool) -> None:
        super().__init__()
        self.down = down
        stride = 2 if down else 1
        self.first = Convolution(inputs, outputs, stride=stride, rank=rank, norm=norm)
        self.second = Convolution(outputs, outputs, stride=1, rank=rank, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h', w')."""
        y = self.second(F.relu(self.first(x)))
        return F.relu(add_padded(F.avg_pool2d(x, 2) if self.down else x, y))


def add_padded(a: Tensor, b: Tensor) -> Tensor:
    """Add two maps; what one has less of is padded with zeros below, right and in channels."""
    channels, height, width = (max(int(a.shape[i]), int(b.shape[i])) for i in (1, 2, 3))

    def grown(x: Tensor) -> Tensor:
        missing = (0, width - x.shape[3], 0, height - x.shape[2], 0, channels - x.shape[1])
        return F.pad(x, missing) if any(missing) else x

    return grown(a) + grown(b)


class EmbeddingNetwork(nn.Module):
    """(n, 3, 112, 112) RGB in [-1, 1] to (n, d) embeddings; compare them by cosine.

    The embedding is not normalised here: losses want its length. The exported network
    normalises.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        norm = config.norm
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem, 8, 3, bias=not norm),
            *([nn.BatchNorm2d(config.stem)] if norm else []),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.stem, width, 1, bias=not norm),
            *([nn.BatchNorm2d(width)] if norm else []),
            nn.ReLU(inplace=True),
        )
        stages = []
        for number, (channels, count, rank) in enumerate(
            zip(config.widths, config.blocks, config.ranks, strict=True)
        ):
            blocks = []
            for index in range(count):
                last = number == len(config.widths) - 1 and index == count - 1 and count > 1
                down = (number > 0 and index == 0) or last
                blocks.append(Block(width, channels, down=down, rank=rank, norm=norm))
                width = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(width, config.embedding)

    def forward(self, image: Tensor) -> Tensor:
        """Embed aligned faces."""
        out: Tensor = self.head(self.stages(self.stem(image)).mean((2, 3)))
        return out


def make_network(config: NetworkConfig) -> nn.Module:
    """The network that a config names: (n, 3, s, s) in [-1, 1] to (n, d), not normalised."""
    if config.kind == "mobilefacenet":
        return MobileFaceNet(config.embedding, config.input_size)
    return EmbeddingNetwork(config)
