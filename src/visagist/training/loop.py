"""The one training loop: knows steps, seeds, averages and checkpoints, and no capability."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from visagist.errors import ConfigError, DataError, DivergedError
from visagist.training.checkpoint import load_latest, save_checkpoint
from visagist.training.ema import PowerEma


class LoopConfig(BaseModel):
    """Knobs that every training shares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, description="every random number of the run follows from it")
    steps: int = Field(20_000, description="optimiser steps", ge=1)
    lr: float = Field(1e-3, description="peak learning rate of AdamW", gt=0)
    lr_floor: float = Field(0.01, description="last learning rate as a share of the peak", ge=0)
    warmup: int = Field(200, description="steps of linear warm-up", ge=0)
    weight_decay: float = Field(1e-2, description="decoupled; not applied to biases and gains")
    betas: tuple[float, float] = Field((0.9, 0.99), description="AdamW momenta")
    clip: float = Field(1.0, description="largest gradient norm", gt=0)
    ema_gamma: float = Field(12.0, description="exponent of the power-function average")
    log_every: int = Field(100, description="steps between log lines", ge=1)
    validate_every: int = Field(2_000, description="steps between validations", ge=1)
    checkpoint_every: int = Field(1_000, description="steps between checkpoints", ge=1)
    bf16: bool = Field(False, description="autocast to bfloat16 where the device is fast at it")


class Task(Protocol):
    """What a capability hands to the loop."""

    @property
    def model(self) -> nn.Module:
        """The module to train, already on its device."""

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Scalar losses of batch ``step``, drawn from ``generator``; their sum is minimised."""

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Numbers on held-out people, for the averaged weights."""


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step_seed(seed: int, step: int) -> int:
    """What the generators of a step start from; a task that works ahead seeds its own alike."""
    return seed * 1_000_003 + step


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then half a cosine down to ``lr_floor``; a function of the step alone."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.lr_floor + (1 - config.lr_floor) * cosine)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases and gains do not."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def train(
    task: Task,
    config: LoopConfig,
    out: Path,
    *,
    resume: bool = False,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> nn.Module:
    """Run the loop to its last step and return the averaged weights.

    Every step seeds its own generator from (seed, step), so a run that was killed and resumed
    draws the same batches and ends at the same weights as an unbroken one.

    Args:
        task: model, losses and validation.
        config: the knobs.
        out: folder for ``log.jsonl`` and ``checkpoints/``.
        resume: go on from the newest checkpoint in ``out``; without it ``out`` must be fresh.
        progress: called after each logged step.

    Raises:
        ConfigError: ``out`` already holds a run and ``resume`` is false.
        DivergedError: a loss is not finite.
    """
    checkpoints = out / "checkpoints"
    found = load_latest(checkpoints)
    if found and not resume:
        raise ConfigError(f"{out} already holds a run; pass --resume to go on, or another folder")
    out.mkdir(parents=True, exist_ok=True)
    model = task.model
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )
    ema = PowerEma(model, gamma=config.ema_gamma)
    start = 0
    if found:
        start, state = found
        _restore(state, model, ema, optimiser)
        _trim_log(out / "log.jsonl", start)
    generator = torch.Generator(device)
    began, logged = time.perf_counter(), start
    model.train()
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        for step in range(start, config.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, config)
            generator.manual_seed(step_seed(config.seed, step))
            torch.manual_seed(step_seed(config.seed, step))
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
                losses = task.losses(model, step, generator)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimiser.step()
            done = step + 1
            ema.update(model, done)
            last = done == config.steps
            log_now = done % config.log_every == 0 or last
            save_now = done % config.checkpoint_every == 0 or last
            if log_now or save_now:
                numbers = {name: float(value.detach()) for name, value in losses.items()}
                if not math.isfinite(sum(numbers.values()) + float(norm)):
                    raise DivergedError(
                        f"loss is not finite near step {done}: {numbers}; the last checkpoint in "
                        f"{checkpoints} is good; lower lr ({config.lr}) and resume"
                    )
            if log_now:
                now = time.perf_counter()
                numbers |= {
                    "lr": learning_rate(step, config),
                    "grad_norm": float(norm),
                    "steps_per_second": (done - logged) / (now - began),
                }
                began, logged = now, done
                _write(log, done, numbers)
                progress(done, numbers)
            if done % config.validate_every == 0 or last:
                numbers = {f"val_{k}": v for k, v in task.validate(ema.model).items()}
                model.train()
                _write(log, done, numbers)
                progress(done, numbers)
            if save_now:
                save_checkpoint(checkpoints, done, _state(model, ema, optimiser))
    return ema.model


def _state(model: nn.Module, ema: PowerEma, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    return {
        "model": model.state_dict(),
        "ema": ema.model.state_dict(),
        "optimiser": optimiser.state_dict(),
    }


def _restore(
    state: dict[str, Any], model: nn.Module, ema: PowerEma, optimiser: torch.optim.Optimizer
) -> None:
    try:
        model.load_state_dict(state["model"])
        ema.model.load_state_dict(state["ema"])
        optimiser.load_state_dict(state["optimiser"])
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the checkpoint belongs to another configuration: {reason}") from error


def _write(log: TextIO, step: int, numbers: Mapping[str, float]) -> None:
    log.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in numbers.items()}}) + "\n")
    log.flush()


def _trim_log(path: Path, step: int) -> None:
    """Drop lines after ``step``: the steps behind them are about to be run again."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 62  # a torn last line is dropped
