"""Small networks and noise for the tests of the generator."""

from __future__ import annotations

import torch

from visagist.generation.config import NetworkConfig
from visagist.generation.network import GeneratorNetwork

SMALL = {
    "image_size": 16,
    "patch": 4,
    "depth": 2,
    "encoder_width": 32,
    "encoder_heads": 2,
    "decoder_width": 48,
    "decoder_heads": 3,
}


def small(**changes) -> NetworkConfig:
    return NetworkConfig.model_validate(SMALL | changes)


def network(*, seed: int = 0, shaken: bool = True, **changes) -> GeneratorNetwork:
    """A small network; shaken: its zero layers get weights, so that everything has an effect."""
    torch.manual_seed(seed)
    made = GeneratorNetwork(small(**changes))
    if shaken:
        with torch.no_grad():
            for parameter in made.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.05)
    return made


def inputs(n: int = 2, side: int = 16, width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    image = torch.randn((n, 3, side, side), generator=generator)
    return image, torch.randn((n, width), generator=generator)
