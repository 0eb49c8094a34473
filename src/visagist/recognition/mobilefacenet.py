"""MobileFaceNet (Chen et al. 2018, table 1): the network that most light recognisers are."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["MobileFaceNet"]

# (expansion, channels, repeats, stride of the first), table 1
_BOTTLENECKS = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)


def _unit(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    linear: bool = False,
) -> nn.Sequential:
    """Convolution, batch normalisation and, unless linear, PReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        *([] if linear else [nn.PReLU(outputs)]),
    )


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            _unit(inputs, wide, 1),
            _unit(wide, wide, 3, stride=stride, padding=1, groups=wide),
            _unit(wide, outputs, 1, linear=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.shortcut else out


class MobileFaceNet(nn.Module):
    """(n, 3, 112, 112) RGB in [-1, 1] to (n, d) embeddings, about a million parameters.

    Args:
        embedding: length of the embedding.
        input_size: side of the face in pixels, a multiple of 16.
    """

    def __init__(self, embedding: int = 128, input_size: int = 112) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            _unit(3, 64, 3, stride=2, padding=1),
            _unit(64, 64, 3, padding=1, groups=64),
        ]
        channels = 64
        for expansion, outputs, repeats, stride in _BOTTLENECKS:
            for index in range(repeats):
                layers.append(
                    _Bottleneck(
                        channels, outputs, expansion=expansion, stride=stride if index == 0 else 1
                    )
                )
                channels = outputs
        self.body = nn.Sequential(*layers, _unit(channels, 512, 1))
        # A depthwise convolution over the whole map: each place of the face has its own weight.
        self.gather = _unit(512, 512, input_size // 16, groups=512, linear=True)
        self.head = _unit(512, embedding, 1, linear=True)

    def forward(self, image: Tensor) -> Tensor:
        """Embed aligned faces."""
        out: Tensor = self.head(self.gather(self.body(image))).flatten(1)
        return out
