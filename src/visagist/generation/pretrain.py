"""Stage 1: the encoder learns what a picture shows, at every noise level (EPG, section 3)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.generation.config import PretrainRecipe
from visagist.generation.data import Batch, Pictures
from visagist.generation.denoise import column, time_condition
from visagist.generation.losses import contrastive_loss, info_nce
from visagist.generation.network import PretrainNetwork, forward_macs
from visagist.generation.noise import (
    SIGMA_MIN,
    input_scale,
    karras_levels,
    level_count,
    shift,
    temperature,
)
from visagist.generation.task import VALIDATION, GeneratorTask
from visagist.generation.views import augmented_view
from visagist.training.parallel import Part, local

PROBED = (0.2, 1.0, 5.0)
"""Base levels at which a validation looks."""


class PretrainTask(GeneratorTask):
    """L = contrast between two views + consistency along one trajectory, one level a step.

    Args:
        recipe: of stage 1.
        pictures: to learn from.
        held_out: to validate on, or nothing.
        device: where the networks are.
    """

    recipe: PretrainRecipe

    def __init__(
        self,
        recipe: PretrainRecipe,
        *,
        pictures: Pictures,
        held_out: Pictures | None,
        device: torch.device,
    ) -> None:
        torch.manual_seed(recipe.loop.seed)
        network = PretrainNetwork(recipe.network, recipe.pretrain).to(device)
        network.encoder.checkpointing = recipe.checkpointing
        # three passes forward and back, three forward alone
        macs = 12 * forward_macs(recipe.network, encoder_only=True)
        super().__init__(
            recipe,
            network,
            batch=recipe.pretrain.batch,
            pictures=pictures,
            held_out=held_out,
            macs=macs,
        )
        self.pretrain = recipe.pretrain
        # It stays in training mode: its batch norm has no averages, and there is no dropout.
        self.teacher = copy.deepcopy(network).requires_grad_(False)

    @property
    def companions(self) -> Mapping[str, nn.Module]:
        """The teacher."""
        return {"teacher": self.teacher}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """The teacher follows the network at a constant rate."""
        ours, theirs = (local(list(n.parameters())) for n in (self.teacher, self.network))
        torch._foreach_lerp_(ours, theirs, 1 - self.pretrain.teacher)

    def levels_of(self, step: int) -> tuple[float, float]:
        """Base levels (noisier, cleaner) of a step; one pair for the whole batch of all processes.

        So negatives share the noise level and cannot be told apart by it.
        """
        count = level_count(step, self.recipe.loop.steps, *self.pretrain.levels)
        levels = karras_levels(count)
        rng = np.random.default_rng((self.recipe.loop.seed, step))
        index = int(rng.integers(count - 1))
        return float(levels[index]), float(levels[index + 1])

    def part_losses(self, model: nn.Module, step: int, part: Part) -> Mapping[str, Tensor]:
        """The two losses of stage 1, weighted alike."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            batch = self.batches.draw(step, part)
            n, shape = len(batch.image), batch.image.shape[1:]
            least = SIGMA_MIN * shift(self.config.image_size)
            views = torch.cat(
                [
                    augmented_view(batch.image, self.pretrain.views, batch.draws, number)
                    + least * batch.draws.noise(*shape)
                    for number in (0, 1)
                ]
            )
            high, low = self.levels_of(step)
            eps = batch.draws.noise(*shape)
            factor = shift(self.config.image_size)
            noisy, cleaner = (batch.image + level * factor * eps for level in (high, low))
        with torch.no_grad():
            _, taught = self.teacher(*self._scaled(views, [least] * 2 * n), n)
            target, _ = model(*self._scaled(cleaner, [low * factor] * n))
        images, times = self._scaled(
            torch.cat([views, noisy]), [least] * 2 * n + [high * factor] * n
        )
        features, projected = model(images, times, n)
        tau = temperature(
            self.pretrain.temperature,
            first=self.pretrain.consistency_first,
            last=self.pretrain.consistency,
            sigma=high,
            step=step,
            steps=self.recipe.loop.steps,
        )
        with torch.autocast(self.device.type, enabled=False):
            return {
                "contrast": contrastive_loss(
                    (projected[:n], projected[n:]),
                    (taught[:n], taught[n:]),
                    self.pretrain.contrast,
                ),
                "consistency": info_nce(features[2 * n :], target, tau),
            }

    def _scaled(self, noisy: Tensor, sigma: list[float]) -> tuple[Tensor, Tensor]:
        levels = np.asarray(sigma)
        return noisy * column(input_scale(levels), noisy), time_condition(
            levels, self.config.encoder_width, noisy
        )

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """How well pictures are told apart at some noise levels, and whether features collapse.

        ``found_S``: share of noised pictures whose nearest clean picture, by the cosine of their
        features, is their own. ``spread``: standard deviation of unit features over pictures, in
        units of that of random directions; near 0 they have collapsed.
        """
        if self.held_out is None:
            return {}
        batch = self.held_out.fixed(VALIDATION)
        clean = self._features(model, batch, SIGMA_MIN)
        numbers = {"spread": float(clean.std(0).mean() * clean.shape[1] ** 0.5)}
        for level in PROBED:
            nearest = (self._features(model, batch, level) @ clean.T).argmax(1)
            own = torch.arange(len(nearest), device=nearest.device)
            numbers[f"found_{level:g}"] = float((nearest == own).float().mean())
        return numbers

    def _features(self, model: nn.Module, batch: Batch, level: float) -> Tensor:
        sigma = level * shift(self.config.image_size)
        noisy = batch.image + sigma * batch.draws.noise(*batch.image.shape[1:])
        parts = [
            model(*self._scaled(part, [sigma] * len(part)))[0] for part in torch.split(noisy, 64)
        ]
        return F.normalize(torch.cat(parts).float(), dim=1)
