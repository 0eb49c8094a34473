"""The small autoencoder TAEF2 (madebyollin/taesd, MIT), for comparing pixels with latents.

It is not part of the package. Its state dicts are read as data: ``taef2_encoder.pth`` and
``taef2_decoder.pth``, pictures in [0, 1] to 32 channels at an eighth of the size, and back.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

LATENT = 32
_WIDTH = 64


def _convolution(wide: int, out: int, **more: object) -> nn.Conv2d:
    return nn.Conv2d(wide, out, 3, padding=1, **more)  # type: ignore[arg-type]


class _Block(nn.Module):
    def __init__(self, *, mixed: bool = False) -> None:
        super().__init__()
        w = _WIDTH
        self.conv = nn.Sequential(
            _convolution(w, w), nn.ReLU(), _convolution(w, w), nn.ReLU(), _convolution(w, w)
        )
        self.pool = None
        if mixed:
            self.pool = nn.Sequential(
                nn.Conv2d(w, 4 * w, 1, bias=False),
                nn.GroupNorm(4, 4 * w),
                nn.ReLU(),
                nn.Conv2d(4 * w, w, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def _halved() -> nn.Conv2d:
    return _convolution(_WIDTH, _WIDTH, stride=2, bias=False)


def _doubled() -> tuple[nn.Module, nn.Module]:
    return nn.Upsample(scale_factor=2), _convolution(_WIDTH, _WIDTH, bias=False)


def encoder(folder: Path) -> nn.Module:
    """(n, 3, s, s) in [0, 1] to (n, 32, s/8, s/8)."""
    layers: list[nn.Module] = [_convolution(3, _WIDTH), _Block()]
    for mixed in (False, False, True):
        layers += [_halved(), *(_Block(mixed=mixed) for _ in range(3))]
    layers.append(_convolution(_WIDTH, LATENT))
    return _filled(nn.Sequential(*layers), folder / "taef2_encoder.pth")


def decoder(folder: Path) -> nn.Module:
    """(n, 32, s/8, s/8) to (n, 3, s, s), about [0, 1]."""
    layers: list[nn.Module] = [_Clamp(), _convolution(LATENT, _WIDTH), nn.ReLU()]
    for mixed in (True, False, False):
        layers += [*(_Block(mixed=mixed) for _ in range(3)), *_doubled()]
    layers += [_Block(), _convolution(_WIDTH, 3)]
    return _filled(nn.Sequential(*layers), folder / "taef2_decoder.pth")


def _filled(network: nn.Module, path: Path) -> nn.Module:
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval()
