"""A regression of a few hundred weights; run as a program it is a training that can be killed.

python -m tests.training.small_task FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import nn

from visagist.training.loop import LoopConfig, train

CONFIG = LoopConfig(
    seed=3,
    steps=60,
    warmup=5,
    lr=1e-2,
    log_every=5,
    validate_every=20,
    checkpoint_every=10,
)


class SmallTask:
    """Learns y = sin(3 x); dropout and batches exercise both sources of randomness."""

    def __init__(self, *, pause: float = 0.0, poison: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(1, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1)
        )
        self.pause, self.poison = pause, poison

    def losses(self, model, step, generator):
        time.sleep(self.pause)
        x = torch.rand((32, 1), generator=generator) * 2 - 1
        loss = (model(x) - torch.sin(3 * x)).square().mean()
        return {"mse": loss * float("nan") if step == self.poison else loss}

    @torch.no_grad()
    def validate(self, model):
        x = torch.linspace(-1, 1, 64)[:, None]
        return {"mse": float((model(x) - torch.sin(3 * x)).square().mean())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(SmallTask(pause=0.1), CONFIG, Path(sys.argv[1]))
