"""Small swap networks, an encoder that sees colours, and triplets of coloured squares."""

from __future__ import annotations

import torch
from torch import nn

from visagist.swap.config import (
    AdversarialConfig,
    DataConfig,
    NetworkConfig,
    SwapLossConfig,
    SwapRecipe,
)
from visagist.swap.data import TripletBatch
from visagist.swap.encoder import FrozenEncoder
from visagist.training.loop import LoopConfig

SMALL = {
    "image_size": 64,
    "embedding": 8,
    "width": 16,
    "body": 16,
    "encoder_blocks": 1,
    "body_blocks": 1,
    "decoder_blocks": 2,
    "guide": False,
}
PAPER = {"kind": "paper", "image_size": 64, "embedding": 8, "width": 4}


def config(**changes) -> NetworkConfig:
    return NetworkConfig.model_validate(SMALL | changes)


def recipe(*, steps: int = 6, adversarial: int = 2, network=None, **losses) -> SwapRecipe:
    judges = AdversarialConfig(start=adversarial, width=4, levels=2, matching=0.5)
    return SwapRecipe(
        data=DataConfig(batch=4, size=64, held_out=8),
        network=network or config(),
        losses=SwapLossConfig(adversarial=judges, **losses),
        loop=LoopConfig(
            seed=3, steps=steps, lr=3e-3, warmup=2, betas=(0.5, 0.99), weight_decay=0.0,
            log_every=1, validate_every=steps, checkpoint_every=2, ema_gamma=2.0,
        ),
    )  # fmt: skip


def encoder() -> FrozenEncoder:
    """Which colour a face has: its mean over the view, through a fixed rotation."""
    torch.manual_seed(11)
    shallow = nn.Conv2d(3, 4, 3, padding=1)
    network = nn.Sequential(shallow, nn.Tanh(), nn.AvgPool2d(16), nn.Flatten(), nn.Linear(4, 8))
    return FrozenEncoder(network, [shallow], side=16, field=0.8, centre=(0.5, 0.55))


class Squares:
    """A source of one colour; the truth is the target with a square of that colour."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at

    def draw(self, step: int, batch: int, seed: int) -> TripletBatch:
        if step == self.fails_at:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(1000 * seed + step)
        colours = torch.randint(0, 256, (3, batch, 3, 1, 1), generator=generator, dtype=torch.uint8)
        source, face, ground = (c.expand(batch, 3, 64, 64) for c in colours)
        target, truth = ground.clone(), ground.clone()
        target[..., 20:50, 20:44] = face[..., 20:50, 20:44]
        truth[..., 20:50, 20:44] = source[..., 20:50, 20:44]
        weight = (torch.arange(batch) % 4 != 3).float()
        view = source[..., :16, :16].contiguous()
        share = torch.zeros((batch, 1, 64, 64), dtype=torch.uint8)
        share[..., 22:48, 22:42] = 255
        laid = torch.where(share > 0, source // 2 + 40, target)  # in another light
        guide = torch.cat([laid, share], 1)
        return TripletBatch(source, view, target, truth, weight, ("square",) * batch, guide)
