"""One training in several processes: who is who, what is shared, and how a model is divided.

Started by ``torchrun``, every process runs the same program; without it there is one process and
everything here does nothing. ``ddp`` keeps a whole model in each process and averages gradients;
``fsdp`` keeps a share of the weights, gradients and averages in each (FSDP2), for models that are
too large for one device.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from visagist.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a step's batch: one process computes one part at a time.

    Attributes:
        number: of the part, first by turn, then by process.
        count: parts of the step: processes times parts that each computes in turn.
    """

    number: int = 0
    count: int = 1

    def cut(self, n: int, *, block: int = 1) -> range:
        """Which of ``n`` pictures belong to the part.

        Raises:
            ConfigError: they cannot be divided evenly between blocks.
        """
        if n % (self.count * block):
            raise ConfigError(
                f"a batch of {n} cannot be divided into {self.count} parts of whole blocks of "
                f"{block}; choose a multiple of {self.count * block}"
            )
        share = n // self.count
        return range(self.number * share, (self.number + 1) * share)


@runtime_checkable
class Shardable(Protocol):
    """A model that names the parts that FSDP gathers one at a time."""

    def sharded_parts(self) -> Iterator[nn.Module]:
        """Blocks of about equal size, in the order of use."""


@contextmanager
def joined_processes() -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` has started, and leave them at the end.

    Yields:
        This process' device. Without ``torchrun``: the GPU where there is one.
    """
    cuda = torch.cuda.is_available()
    if "WORLD_SIZE" not in os.environ:
        yield torch.device("cuda" if cuda else "cpu")
        return
    device = torch.device("cpu")
    if cuda:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
        wait_for_others()
    finally:
        # Works of gloo's threads hold tensors; one that is freed after the interpreter aborts.
        gc.collect()
        dist.destroy_process_group()


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of every process' ``x``, differentiable with respect to each of them."""
    if world_size() == 1:
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def gather_over_processes(x: Tensor) -> Tensor:
    """(world * n, ...) from every process' (n, ...), in the order of the processes; no gradient."""
    if world_size() == 1:
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def mean_over_processes(numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each number; NaN in one process is NaN in all."""
    if world_size() == 1:
        return dict(numbers)
    stacked = torch.stack([value.detach().float() for value in numbers.values()])
    dist.all_reduce(stacked)
    return dict(zip(numbers, stacked / world_size(), strict=True))


def average_gradients(model: nn.Module) -> None:
    """Replace each gradient by its mean over the processes, for a model that is not wrapped."""
    if world_size() == 1:
        return
    for parameter in model.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= world_size()


def wait_for_others() -> None:
    """Return when every process is here."""
    if world_size() > 1:
        dist.barrier()


def shard(model: nn.Module) -> nn.Module:
    """Divide the weights of a model among the processes (in place): blocks first, then the rest.

    Raises:
        ConfigError: there is one process only, or the model names no parts.
    """
    if not dist.is_initialized():
        raise ConfigError("loop.parallel: fsdp needs several processes; start with torchrun")
    if not isinstance(model, Shardable):
        raise ConfigError(f"{type(model).__name__} cannot be sharded; use loop.parallel: ddp")
    for part in model.sharded_parts():
        fully_shard(part)
    # An average or a teacher has no backward pass that would divide the rest of it again.
    fully_shard(model, reshard_after_forward=True)
    return model


def replicated(model: nn.Module, device: torch.device) -> nn.Module:
    """The model as the losses call it: gradients are averaged over the processes.

    Buffers are left alone after the start, so that every process keeps its own.
    """
    if world_size() == 1:
        return model
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, forward_sync_buffers=False)


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """What this process holds of each tensor, as memory that can be written."""
    return [t.to_local() if isinstance(t, DTensor) else t for t in tensors]


def whole(x: Tensor) -> Tensor:
    """A tensor with all its shares."""
    return x.full_tensor() if isinstance(x, DTensor) else x


_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)


def model_state(model: nn.Module) -> dict[str, Any]:
    """A model's state as in one process; of a sharded model only process 0 gets it."""
    if any(isinstance(p, DTensor) for p in model.parameters()):
        return get_model_state_dict(model, options=_FULL)
    return model.state_dict()


def load_model_state(model: nn.Module, state: dict[str, Any]) -> None:
    """The reverse of :func:`model_state`, given the same state in every process."""
    if any(isinstance(p, DTensor) for p in model.parameters()):
        set_model_state_dict(model, state, options=StateDictOptions(full_state_dict=True))
    else:
        model.load_state_dict(state)


def optimiser_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state; of a sharded model only process 0 gets it, by names of weights."""
    if any(isinstance(p, DTensor) for p in model.parameters()):
        return get_optimizer_state_dict(model, optimiser, options=_FULL)
    return optimiser.state_dict()


def load_optimiser_state(
    model: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """The reverse of :func:`optimiser_state`, given the same state in every process."""
    if any(isinstance(p, DTensor) for p in model.parameters()):
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(model, optimiser, state, options=options)
    else:
        optimiser.load_state_dict(state)
