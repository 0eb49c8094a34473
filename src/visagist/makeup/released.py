"""The paper's layer table as its authors released it, for comparison: 85,227 parameters.

Re-implemented from the table in ``docs/papers/tinybeauty.md``; no weights exist here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PARAMETERS = 85_227
WIDTH = 24


class CropNorm(nn.Module):
    """Normalises over (C, H, W) of the crop at hand, with a gain and bias per channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; divides by the unbiased deviation plus eps."""
        mean = x.mean((1, 2, 3), keepdim=True)
        count = x.shape[1] * x.shape[2] * x.shape[3]
        variance = ((x - mean) ** 2).sum((1, 2, 3), keepdim=True) / (count - 1)
        x = (x - mean) / (variance.sqrt() + self.eps)
        return x * self.gain[:, None, None] + self.bias[:, None, None]


def _conv(inputs: int, kernel: int, stride: int = 1, outputs: int = WIDTH) -> nn.Conv2d:
    padding = (kernel - 1) // 2 if stride == 1 else 1
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode="reflect")


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = _conv(WIDTH, 3), _conv(WIDTH, 3)
        self.norm = nn.InstanceNorm2d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm(self.first(x)))
        out: Tensor = x + self.norm(self.second(inner))
        return out


class ReleasedTinyBeauty(nn.Module):
    """Plain U-Net with 24 channels and one checkpoint a style; 1.4816 GMAC at 256x256."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 7)
        self.down1, self.down2 = _conv(WIDTH, 4, 2), _conv(WIDTH, 4, 2)
        self.blocks = nn.Sequential(*(_Residual() for _ in range(4)))
        self.up1, self.up2 = _conv(2 * WIDTH, 3), _conv(2 * WIDTH, 3)
        self.norm1, self.norm2 = CropNorm(WIDTH), CropNorm(WIDTH)
        self.out = _conv(WIDTH, 3, outputs=3)
        self.norm = nn.InstanceNorm2d(WIDTH)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> residual of the same shape in [-1, 1]."""
        x = torch.relu(self.norm(self.stem(image)))
        skip_a = torch.relu(self.norm(self.down1(x)))
        skip_b = torch.relu(self.norm(self.down2(skip_a)))
        x = self.blocks(skip_b)
        x = F.interpolate(torch.cat([x, skip_b], 1), scale_factor=2.0, mode="nearest")
        x = torch.relu(self.norm1(self.up1(x)))
        x = F.interpolate(torch.cat([x, skip_a], 1), scale_factor=2.0, mode="nearest")
        x = torch.relu(self.norm2(self.up2(x)))
        return torch.tanh(self.out(x))
