"""Stage 2 for many steps: predict the clean picture at every noise level (EPG, section 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from visagist.generation.autoguidance import Autoguidance
from visagist.generation.config import DiffusionRecipe
from visagist.generation.data import Pictures
from visagist.generation.denoise import Levels, clean_estimate, column
from visagist.generation.draws import Draws
from visagist.generation.losses import squared_error
from visagist.generation.network import GeneratorNetwork, forward_macs
from visagist.generation.noise import (
    SIGMA_MAX,
    SIGMA_MIN,
    interval_weight,
    karras_levels,
    level_at,
    nearest_levels,
    shift,
    velocity_weight,
)
from visagist.generation.task import VALIDATION, GeneratorTask, log_normal
from visagist.training.parallel import Part

PROBED = (0.1, 0.5, 2.0, 10.0, 80.0)
"""Base levels at which a validation looks."""


class DiffusionTask(GeneratorTask):
    """Weighted squared error of the estimate.

    Args:
        recipe: of the training.
        network: encoder and decoder on their device.
        pictures: to learn from.
        held_out: to validate on, or nothing.
        guide: whose guided estimates are learned, or nothing, and the pictures are.
    """

    recipe: DiffusionRecipe

    def __init__(
        self,
        recipe: DiffusionRecipe,
        network: GeneratorNetwork,
        *,
        pictures: Pictures,
        held_out: Pictures | None,
        guide: Autoguidance | None = None,
    ) -> None:
        super().__init__(
            recipe,
            network,
            batch=recipe.diffusion.batch,
            pictures=pictures,
            held_out=held_out,
            macs=(3 if guide is None else 5) * forward_macs(recipe.network),
        )
        self.diffusion, self._guide = recipe.diffusion, guide
        self._grid = karras_levels(self.diffusion.levels) if self.diffusion.levels else None

    def levels_of(self, draws: Draws) -> tuple[Levels, Levels]:
        """(B,) base levels and their weights."""
        config = self.diffusion
        normal, even, which = draws.normal(), draws.uniform(), draws.uniform()
        sigma = log_normal(normal, config.log_mean, config.log_std, SIGMA_MIN, SIGMA_MAX)
        if config.uniform:
            sigma = np.where(which < config.uniform, level_at(even), sigma)
        if self._grid is not None:
            sigma = self._grid[nearest_levels(sigma, self._grid)]
        if config.weight == "interval":
            return sigma, interval_weight(sigma)
        return sigma, velocity_weight(sigma, config.velocity_cap)

    def part_losses(self, model: nn.Module, step: int, part: Part) -> Mapping[str, Tensor]:
        """The weighted squared error, and the mean squared error without its weight for the log."""
        config = self.diffusion
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            batch = self.batches.draw(step, part)
            base, weight = self.levels_of(batch.draws)
            sigma = base * shift(self.config.image_size)
            given = self.given(batch, label_drop=config.label_drop, source_drop=config.source_drop)
            eps = batch.draws.noise(*batch.image.shape[1:])
            noisy = batch.image + column(sigma, eps) * eps
        aim = batch.image
        if self._guide is not None:
            aim = self._guide(self.config, noisy, base, sigma, given)
        estimate = clean_estimate(model, self.config, noisy, sigma, given)
        scale = torch.from_numpy(weight.astype(np.float32)).to(self.device)
        return {"denoise": squared_error(estimate, aim, scale)}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean squared error on held-out pictures at some base levels."""
        if self.held_out is None:
            return {}
        batch = self.held_out.fixed(VALIDATION)
        numbers = {}
        for level in PROBED:
            sigma = np.full(len(batch.image), level * shift(self.config.image_size))
            given = self.given(batch)
            eps = batch.draws.noise(*batch.image.shape[1:])
            estimate = clean_estimate(
                model, self.config, batch.image + column(sigma, eps) * eps, sigma, given
            )
            numbers[f"mse_{level:g}"] = float((estimate - batch.image).square().mean())
        return numbers
