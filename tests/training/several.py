"""A training that two processes share; torchrun starts it, the tests compare it with one process.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m tests.training.several FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from visagist.training.loop import LoopConfig, train
from visagist.training.parallel import (
    Part,
    gather_over_processes,
    joined_processes,
    rank,
    sum_over_processes,
)

CONFIG = LoopConfig(
    seed=3,
    steps=12,
    warmup=2,
    lr=1e-2,
    log_every=1,
    validate_every=12,
    checkpoint_every=6,
    ema_second=4.0,
    average_every=6,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 16), nn.Linear(16, 1)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.second(torch.tanh(self.first(x))) * self.gain

    def sharded_parts(self):
        yield self.first
        yield self.second


class DividedTask:
    """Learns y = sin(3 x); every part is cut out of the same batch. A follower trails behind."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = Net()
        self.companions = {"follower": Net()}
        self.seen: list[range] = []

    def losses(self, model, step, generator):
        raise AssertionError("a divided task is asked for parts")

    def part_losses(self, model, step, part: Part):
        x = torch.rand((32, 1), generator=torch.Generator().manual_seed(step)) * 2 - 1
        mine = part.cut(32, block=4)
        self.seen.append(mine)
        x = x[mine.start : mine.stop]
        return {"mse": (model(x) - torch.sin(3 * x)).square().mean()}

    def after_step(self, step):
        with torch.no_grad():
            for parameter in self.companions["follower"].parameters():
                parameter.fill_(step)

    def rates(self, steps_per_second):
        return {"pictures_per_second": 32 * steps_per_second}

    @torch.no_grad()
    def validate(self, model):
        x = torch.linspace(-1, 1, 64)[:, None]
        return {"mse": float((model(x) - torch.sin(3 * x)).square().mean())}


def main(folder: Path) -> None:
    with joined_processes():
        for name, changes in [
            ("ddp", {}),
            ("ddp-parts", {"accumulate": 2}),
            ("fsdp", {"parallel": "fsdp"}),
        ]:
            config = CONFIG.model_copy(update=changes)
            train(DividedTask(), config, folder / name)
        # stopped half way and resumed
        half = CONFIG.model_copy(update={"parallel": "fsdp"})
        for step in (6, 12):
            halves = half.model_copy(update={"steps": step, "lr_stairs": ((0, 1e-2),)})
            train(DividedTask(), halves, folder / "broken", resume=True)
        whole = half.model_copy(update={"lr_stairs": ((0, 1e-2),)})
        train(DividedTask(), whole, folder / "whole")
        x = torch.full((2,), float(rank() + 1), requires_grad=True)
        total = sum_over_processes(x * x)
        (total * (rank() + 1)).sum().backward()
        assert total.tolist() == [5.0, 5.0]
        # d/dx of (1 + 2) * total, as both processes' losses depend on it
        assert x.grad is not None
        assert x.grad.tolist() == [3 * 2 * (rank() + 1)] * 2
        assert gather_over_processes(x).tolist() == [1, 1, 2, 2]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
