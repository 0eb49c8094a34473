"""The one training loop: knows steps, seeds, averages and checkpoints, and no capability."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from visagist.errors import ConfigError, DataError, DivergedError, NoMemoryError
from visagist.training import parallel
from visagist.training.checkpoint import load_latest, save_checkpoint
from visagist.training.ema import PowerEma
from visagist.training.logs import Log
from visagist.training.parallel import Part
from visagist.training.throughput import uses_bf16


class LoopConfig(BaseModel):
    """Knobs that every training shares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, description="every random number of the run follows from it")
    steps: int = Field(20_000, description="optimiser steps", ge=1)
    lr: float = Field(1e-3, description="peak learning rate of AdamW", gt=0)
    lr_floor: float = Field(0.01, description="last learning rate as a share of the peak", ge=0)
    lr_stairs: tuple[tuple[int, float], ...] = Field(
        (), description="(step, learning rate) from which on it is so, instead of the cosine"
    )
    warmup: int = Field(200, description="steps of linear warm-up", ge=0)
    weight_decay: float = Field(1e-2, description="decoupled; not applied to biases and gains")
    betas: tuple[float, float] = Field((0.9, 0.99), description="AdamW momenta")
    clip: float | None = Field(1.0, description="largest gradient norm; null for any", gt=0)
    clip_from: int = Field(0, description="first step whose gradient is clipped", ge=0)
    accumulate: int = Field(1, description="parts that each process computes in turn", ge=1)
    parallel: Literal["ddp", "fsdp"] = Field(
        "ddp", description="with several processes: whole models, or shares of one (FSDP2)"
    )
    ema_gamma: float = Field(12.0, description="exponent of the power-function average")
    ema_decay: float = Field(0.0, description="constant decay instead; 0 for the power function")
    ema_second: float = Field(
        0.0, description="exponent of a second average, for finding others afterwards; 0 for none"
    )
    average_every: int = Field(
        0, description="steps between averages stored for that in averages/; 0 for none", ge=0
    )
    log_every: int = Field(100, description="steps between log lines", ge=1)
    validate_every: int = Field(2_000, description="steps between validations", ge=1)
    checkpoint_every: int = Field(1_000, description="steps between checkpoints", ge=1)
    bf16: bool | Literal["auto"] = Field(
        False, description="autocast to bfloat16; auto: where the device is fast at it"
    )
    compile: bool = Field(
        False, description="compile the network once, at the static shape of its batches"
    )
    tensorboard: bool = Field(False, description="write the log for TensorBoard as well")


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


@runtime_checkable
class DividedTask(Protocol):
    """A task that can compute a part of a step's batch, so that all parts make the same batch.

    Other tasks draw a batch of their own for each part, from a generator of the part's own.
    """

    def part_losses(self, model: nn.Module, step: int, part: Part) -> Mapping[str, Tensor]:
        """As ``losses``, of one part."""


@runtime_checkable
class AccompaniedTask(Protocol):
    """A task with networks that follow the model, such as a teacher; checkpoints hold them."""

    @property
    def companions(self) -> Mapping[str, nn.Module]:
        """Networks that are not trained but change; they are sharded as the model is."""

    def after_step(self, step: int) -> None:
        """Called when step ``step`` (the first is 1) has changed the model."""


@runtime_checkable
class OpposedTask(Protocol):
    """A task with a network that learns against the model, with an optimiser of its own.

    ``losses`` has to leave the opponent without gradients. What it drew is the opponent's to judge,
    before either of them changes.
    """

    @property
    def opponent(self) -> nn.Module:
        """The opposing network, on the model's device; checkpoints hold it."""

    @property
    def opponent_rate(self) -> float:
        """Its learning rate as a share of the model's."""

    def opponent_losses(self, step: int) -> Mapping[str, Tensor]:
        """Its scalar losses on what ``losses`` drew last; none while it rests."""


@runtime_checkable
class MeasuredTask(Protocol):
    """A task that says what a rate of steps means."""

    def rates(self, steps_per_second: float) -> Mapping[str, float]:
        """Further numbers for a log line."""


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step_seed(seed: int, step: int, part: int = 0) -> int:
    """What the generators of a step start from; a task that works ahead seeds its own alike.

    Later parts of a step have seeds of their own, in the upper half of 63 bits.
    """
    first = seed * 1_000_003 + step
    if not part:
        return first
    return (first * 0x9E3779B97F4A7C15 + part * 0xBF58476D1CE4E5B9) % (1 << 62) + (1 << 62)


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then half a cosine down to ``lr_floor``, or stairs; of the step alone."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.lr_stairs:
        return [config.lr, *(lr for first, lr in sorted(config.lr_stairs) if step >= first)][-1]
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
    draws the same batches and ends at the same weights as an unbroken one. Inside
    :func:`~visagist.training.parallel.joined_processes` every process calls this; process 0 writes.

    Args:
        task: model, losses and validation.
        config: the knobs.
        out: folder for ``log.jsonl`` and ``checkpoints/``.
        resume: go on from the newest checkpoint in ``out``; without it ``out`` must be fresh.
        progress: called after each logged step.

    Raises:
        ConfigError: ``out`` already holds a run and ``resume`` is false.
        DivergedError: a loss is not finite; ``diverged.json`` says how to see it again.
        NoMemoryError: the device's memory is too small for a step.
    """
    checkpoints = out / "checkpoints"
    found = load_latest(checkpoints)
    if found and not resume:
        raise ConfigError(f"{out} already holds a run; pass --resume to go on, or another folder")
    parallel.wait_for_others()  # nobody writes before all have looked
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(task, config, out)
    start = 0
    if found:
        start, state = found
        run.restore(state)
    run.model.train()
    with _log(out, start, config) as log, _no_denormals():
        run.report = _reporter(log, progress)
        run.began, run.logged = time.perf_counter(), start
        for step in range(start, config.steps):
            with _enough_memory(step + 1, config):
                losses, norm = run.step(step)
            done = step + 1
            last = done == config.steps
            save_now = done % config.checkpoint_every == 0 or last
            run.note(done, losses, norm, log_now=done % config.log_every == 0 or last, now=save_now)
            if done % config.validate_every == 0 or last:
                run.validate(done)
            if config.average_every and (done % config.average_every == 0 or last):
                run.store_averages(done)
            if save_now:
                run.save(done)
    return run.averages[0].model


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero: fading gradients make convolutions a hundred times slower.

    The setting is the thread's, so it is taken back for whatever else runs in it.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class _Run:
    """Everything that changes while a training runs."""

    def __init__(self, task: Task, config: LoopConfig, out: Path) -> None:
        self.task, self.config, self.out = task, config, out
        self.model = task.model
        self.device = next(self.model.parameters()).device
        self.bf16 = uses_bf16(config.bf16, self.device)
        gammas = [config.ema_gamma, *([config.ema_second] if config.ema_second else [])]
        self.averages = [
            PowerEma(self.model, gamma=gamma, decay=config.ema_decay if not i else 0.0)
            for i, gamma in enumerate(gammas)
        ]
        self.called: nn.Module = self.model
        sharded = config.parallel == "fsdp"
        if sharded:
            followers = task.companions.values() if isinstance(task, AccompaniedTask) else ()
            for model in (self.model, *(average.model for average in self.averages), *followers):
                parallel.shard(model)
        if config.compile:
            self.model.compile(dynamic=False)
        if not sharded:
            self.called = parallel.replicated(self.model, self.device)
        self.optimiser = _optimiser(self.model, config)
        self.opponent: nn.Module | None = None
        if isinstance(task, OpposedTask):
            self.opponent = task.opponent
            self.opponent_optimiser = _optimiser(self.opponent, config)
        self.report: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None
        self.began, self.logged = 0.0, 0

    def step(self, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """One step of the optimiser; its mean losses in this process and the gradient's norm."""
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        self.optimiser.zero_grad(set_to_none=True)
        if self.opponent is not None:
            self.opponent_optimiser.zero_grad(set_to_none=True)
        total: dict[str, Tensor] = {}
        for turn in range(config.accumulate):
            losses = self._part(step, turn)
            for name, value in losses.items():
                share = value.detach() / config.accumulate
                total[name] = total[name] + share if name in total else share
        clip = config.clip if config.clip is not None and step >= config.clip_from else math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimiser.step()
        self._opponent_step(step, clip)
        for average in self.averages:
            average.update(self.model, step + 1)
        if isinstance(self.task, AccompaniedTask):
            self.task.after_step(step + 1)
        return total, parallel.whole(norm)

    def _part(self, step: int, turn: int) -> Mapping[str, Tensor]:
        config, world = self.config, parallel.world_size()
        part = Part(turn * world + parallel.rank(), config.accumulate * world)
        seed = step_seed(config.seed, step, part.number)
        torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        with self._gradients_wait(turn):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                if isinstance(self.task, DividedTask):
                    losses = self.task.part_losses(self.called, step, part)
                else:
                    losses = self.task.losses(self.called, step, generator)
            loss = torch.stack(list(losses.values())).sum() / config.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
        if isinstance(self.task, OpposedTask):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                against = self.task.opponent_losses(step)
            if against:
                loss = torch.stack(list(against.values())).sum() / config.accumulate
                loss.backward()  # type: ignore[no-untyped-call]
                losses = {**losses, **against}
        return losses

    def _opponent_step(self, step: int, clip: float) -> None:
        """One step of the opponent's optimiser, unless it rests."""
        if self.opponent is None or all(p.grad is None for p in self.opponent.parameters()):
            return
        assert isinstance(self.task, OpposedTask)
        parallel.average_gradients(self.opponent)
        nn.utils.clip_grad_norm_(self.opponent.parameters(), clip)
        for group in self.opponent_optimiser.param_groups:
            group["lr"] = learning_rate(step, self.config) * self.task.opponent_rate
        self.opponent_optimiser.step()

    def _gradients_wait(self, turn: int) -> AbstractContextManager[None]:
        """Gradients travel between processes once a step, with the last turn."""
        if turn + 1 < self.config.accumulate and isinstance(self.called, DistributedDataParallel):
            context: AbstractContextManager[None] = self.called.no_sync()
            return context
        return nullcontext()

    def note(
        self, done: int, losses: Mapping[str, Tensor], norm: Tensor, *, log_now: bool, now: bool
    ) -> None:
        """Look at the losses where they are logged or saved, and stop if they are not finite."""
        if not (log_now or now):
            return
        means = parallel.mean_over_processes(losses)
        numbers = {name: float(value.detach()) for name, value in means.items()}
        if not math.isfinite(sum(numbers.values()) + float(norm)):
            raise self._diverged(done, numbers | {"grad_norm": float(norm)})
        if not log_now:
            return
        clock = time.perf_counter()
        rate = (done - self.logged) / (clock - self.began)
        numbers |= {
            "lr": learning_rate(done - 1, self.config),
            "grad_norm": float(norm),
            "steps_per_second": rate,
        }
        if isinstance(self.task, MeasuredTask):
            numbers |= self.task.rates(rate)
        self.began, self.logged = clock, done
        self.report(done, numbers)

    def _diverged(self, done: int, numbers: Mapping[str, float]) -> DivergedError:
        checkpoints = self.out / "checkpoints"
        if parallel.rank() == 0:
            what = {
                "step": done,
                "numbers": {name: repr(value) for name, value in numbers.items()},
                "to_reproduce": "resume the run with the same recipe: the newest checkpoint and "
                "the step's seed give the same batches",
                "checkpoints": sorted(path.name for path in checkpoints.glob("*.ckpt")),
                "config": self.config.model_dump(),
            }
            (self.out / "diverged.json").write_text(json.dumps(what, indent=2) + "\n", "utf-8")
        return DivergedError(
            f"loss is not finite near step {done}: {dict(numbers)}; the last checkpoint in "
            f"{checkpoints} is good; lower lr ({self.config.lr}) and resume"
        )

    def validate(self, done: int) -> None:
        """Numbers of the averaged weights, from every process alike."""
        self.report(
            done, {f"val_{k}": v for k, v in self.task.validate(self.averages[0].model).items()}
        )
        self.model.train()

    def store_averages(self, done: int) -> None:
        """Keep the averages of this step; half precision is enough for mixing them."""
        for number, average in enumerate(self.averages):
            state = parallel.model_state(average.model)
            if parallel.rank() == 0:
                half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
                kept = {"gamma": average.gamma, "model": half}
                folder = self.out / "averages" / str(number)
                save_checkpoint(folder, done, kept, keep=1 << 30)

    def save(self, done: int) -> None:
        """Write a checkpoint; sharded models are put together in process 0."""
        state: dict[str, Any] = {
            "model": parallel.model_state(self.model),
            "ema": parallel.model_state(self.averages[0].model),
            "optimiser": parallel.optimiser_state(self.model, self.optimiser),
        }
        if len(self.averages) > 1:
            state["ema_second"] = parallel.model_state(self.averages[1].model)
        if isinstance(self.task, AccompaniedTask):
            for name, network in self.task.companions.items():
                state[f"companion {name}"] = parallel.model_state(network)
        if self.opponent is not None:
            state["opponent"] = self.opponent.state_dict()
            state["opponent_optimiser"] = self.opponent_optimiser.state_dict()
        if parallel.rank() == 0:
            save_checkpoint(self.out / "checkpoints", done, state)
        parallel.wait_for_others()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint.

        Raises:
            DataError: it is one of another configuration.
        """
        try:
            parallel.load_model_state(self.model, state["model"])
            parallel.load_model_state(self.averages[0].model, state["ema"])
            if len(self.averages) > 1:
                parallel.load_model_state(self.averages[1].model, state["ema_second"])
            if isinstance(self.task, AccompaniedTask):
                for name, network in self.task.companions.items():
                    parallel.load_model_state(network, state[f"companion {name}"])
            parallel.load_optimiser_state(self.model, self.optimiser, state["optimiser"])
            if self.opponent is not None:
                self.opponent.load_state_dict(state["opponent"])
                self.opponent_optimiser.load_state_dict(state["opponent_optimiser"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"the checkpoint belongs to another configuration: {reason}") from error


def _optimiser(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def _log(out: Path, start: int, config: LoopConfig) -> AbstractContextManager[Log | None]:
    if parallel.rank():
        return nullcontext()
    return Log(out, start, tensorboard=config.tensorboard)


def _reporter(
    log: Log | None, progress: Callable[[int, Mapping[str, float]], None]
) -> Callable[[int, Mapping[str, float]], None]:
    def report(step: int, numbers: Mapping[str, float]) -> None:
        if log is not None:
            log.write(step, numbers)
            progress(step, numbers)

    return report


@contextmanager
def _enough_memory(step: int, config: LoopConfig) -> Iterator[None]:
    """Say what to change when a step does not fit."""
    try:
        yield
    except RuntimeError as error:
        short = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not short:
            raise
        raise NoMemoryError(
            f"step {step} does not fit into the device's memory; raise loop.accumulate "
            f"({config.accumulate}), lower the batch, or take a smaller network"
        ) from error
