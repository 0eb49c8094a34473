"""TinyBeauty for all styles at once: one trunk, and a linear head that the style code selects.

The trunk sees the face and knows nothing of styles. The residual is linear in its features, and
the head's weights are linear in the style code, so that mixing codes mixes residuals exactly and
a new style is a new row. See ``docs/papers/tinybeauty.md`` for what differs from the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.makeup.config import MakeupNetworkConfig


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = (kernel - stride + 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        _conv(inputs, outputs, kernel, stride, groups),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Mixer(nn.Module):
    """Inverted residual with a 5x5 depthwise convolution: wide view, few parameters."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.body = nn.Sequential(
            _block(width, inner, 1),
            _block(inner, inner, 5, groups=inner),
            _conv(inner, width, 1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        out: Tensor = x + self.body(x)
        return out


class MakeupNetwork(nn.Module):
    """Face and style code in, residual out.

    Batch normalisation is folded at export; statistics never depend on the crop at hand, so the
    residual moves with the face (the released network normalises by the crop).
    """

    def __init__(self, config: MakeupNetworkConfig) -> None:
        super().__init__()
        self.config = config
        c, n = config.width, len(config.styles)
        self.stem = _block(3, c, config.stem, config.patch)
        self.down8 = _block(c, c, 3, 2)
        self.mid8 = _block(c, c, 3)
        self.down16 = nn.Sequential(_block(c, c, 3, 2, groups=c), _block(c, c, 1))
        self.mid16 = nn.Sequential(*(Mixer(c, config.expansion) for _ in range(config.mixers)))
        self.up8 = nn.Conv2d(c, c, 1, bias=False)
        self.merge8 = _block(c, c, 3)
        self.up4 = nn.Conv2d(c, c, 1, bias=False)
        self.merge4 = _block(c, c, 3)
        outputs = 3 * config.patch**2
        self.head = nn.Parameter(torch.randn(n, outputs, c) * 0.02)
        self.bias = nn.Parameter(torch.zeros(n, outputs))

    def trunk(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> style-free features (B, C, S/4, S/4)."""
        x4 = self.stem(image)
        x8 = self.mid8(self.down8(x4))
        x16 = self.mid16(self.down16(x8))
        x8 = self.merge8(x8 + F.interpolate(self.up8(x16), scale_factor=2.0, mode="nearest"))
        features: Tensor = self.merge4(
            x4 + F.interpolate(self.up4(x8), scale_factor=2.0, mode="nearest")
        )
        return features

    def patches(self, features: Tensor, code: Tensor) -> Tensor:
        """Residual patches for K style codes a face.

        Args:
            features: (B, C, P) features of P patches, all of them or a sample.
            code: (B, K, styles).

        Returns:
            (B, K, 3 p^2, P); channels are ordered as :func:`torch.pixel_shuffle` reads them.
        """
        weight = torch.einsum("bks,soc->bkoc", code, self.head).flatten(1, 2)
        bias = torch.einsum("bks,so->bko", code, self.bias).flatten(1, 2)
        flat = torch.baddbmm(bias[..., None], weight, features)
        return torch.unflatten(flat, 1, (code.shape[1], -1))

    def forward(self, image: Tensor, code: Tensor) -> Tensor:
        """The residual of one style code per face.

        Args:
            image: (B, 3, S, S) float in [-1, 1], the canonical crop.
            code: (B, styles) weights of the styles; one-hot for one style, any mix otherwise.

        Returns:
            (B, 3, S, S) residual in units of the full range: +1 is 255 levels brighter.
        """
        features = self.trunk(image)
        patches = self.patches(features.flatten(2), code[:, None])[:, 0]
        return F.pixel_shuffle(torch.unflatten(patches, 2, features.shape[2:]), self.config.patch)
