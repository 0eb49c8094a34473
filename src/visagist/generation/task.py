"""What the three trainings of the generator have in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.errors import ConfigError
from visagist.generation.config import GeneratorRecipe
from visagist.generation.data import Batch, Batches, Pictures
from visagist.generation.denoise import Given
from visagist.generation.network import GeneratorNetwork, condition_input
from visagist.training.parallel import Part, world_size
from visagist.training.throughput import matmul_peak, uses_bf16

VALIDATION = 256
"""Held-out pictures that a validation looks at, at most."""


class GeneratorTask:
    """Model and batches; subclasses add losses and validation.

    Args:
        recipe: of the training.
        network: to train, on its device.
        batch: pictures a step over all processes.
        pictures: to learn from.
        held_out: to validate on, or nothing.
        macs: multiply-adds of a step for one picture, for judging the throughput.
    """

    def __init__(
        self,
        recipe: GeneratorRecipe,
        network: nn.Module,
        *,
        batch: int,
        pictures: Pictures,
        held_out: Pictures | None,
        macs: float,
    ) -> None:
        self.recipe, self.network, self.config = recipe, network, recipe.network
        self.device = next(network.parameters()).device
        self.batch, self._macs = batch, macs
        self._peak: float | None = None
        self.batches = self._batches(pictures)
        self.held_out = None if held_out is None else self._batches(held_out)

    def _batches(self, pictures: Pictures) -> Batches:
        loop = self.recipe.loop
        return Batches(
            pictures,
            self.recipe.data,
            batch=self.batch,
            seed=loop.seed,
            steps=loop.steps,
            device=self.device,
        )

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """The losses of a whole step in one process; randomness follows from seed and step."""
        return self.part_losses(model, step, Part())

    def part_losses(self, model: nn.Module, step: int, part: Part) -> Mapping[str, Tensor]:
        """Scalar losses of a part of step ``step``."""
        raise NotImplementedError

    def rates(self, steps_per_second: float) -> dict[str, float]:
        """Pictures a second, and floating point operations against the machine's measured peak.

        In several processes the rate is that of all, the peak that of this one's device times the
        number of processes.
        """
        if self._peak is None:
            bf16 = uses_bf16(self.recipe.loop.bf16, self.device)
            self._peak = matmul_peak(self.device, bf16=bf16)
        pictures = steps_per_second * self.batch
        flops = 2 * self._macs * pictures
        return {
            "pictures_per_second": pictures,
            "tflops": flops / 1e12,
            "utilisation": flops / (self._peak * world_size()),
        }

    def given(self, batch: Batch, *, label_drop: float = 0.0, source_drop: float = 0.0) -> Given:
        """Class and source of a batch, some of them left out.

        Raises:
            ConfigError: the network asks for something that the pictures do not have.
        """
        label, condition = None, None
        if self.config.classes:
            if batch.label is None:
                raise ConfigError("network.classes is set, but the pictures have no classes")
            dropped = self._chosen(batch, label_drop)
            label = torch.where(dropped, self.config.classes, batch.label)
        if self.config.source:
            if batch.source is None:
                raise ConfigError("network.source is set, but the pictures have no sources")
            shown = ~self._chosen(batch, source_drop)
            condition = condition_input(batch.source, batch.masks, shown)
        return Given(label, condition)

    def _chosen(self, batch: Batch, share: float) -> Tensor:
        return torch.from_numpy(batch.draws.uniform() < share).to(self.device)


def log_normal(
    draws: NDArray[np.float64], mean: float, std: float, low: float, high: float
) -> NDArray[np.float64]:
    """exp(mean + std * draws), kept between two levels."""
    return np.clip(np.exp(mean + std * draws), low, high)


def network_of(recipe: GeneratorRecipe, device: torch.device) -> GeneratorNetwork:
    """A fresh network of a recipe; its weights follow from the recipe's seed."""
    torch.manual_seed(recipe.loop.seed)
    network = GeneratorNetwork(recipe.network).to(device)
    network.encoder.checkpointing = recipe.checkpointing
    return network
