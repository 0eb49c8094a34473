"""Stage 2 for one step: consistency training with an auxiliary contrastive loss (section 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from visagist.errors import ConfigError
from visagist.generation.config import ConsistencyRecipe
from visagist.generation.data import Batch, Pictures
from visagist.generation.denoise import (
    NOTHING,
    Given,
    Levels,
    clean_estimate,
    column,
    consistent_estimate,
    time_condition,
)
from visagist.generation.losses import info_nce, pseudo_huber
from visagist.generation.network import GeneratorNetwork, PretrainNetwork, forward_macs
from visagist.generation.noise import (
    SIGMA_MAX,
    SIGMA_MIN,
    consistency_target,
    input_scale,
    shift,
)
from visagist.generation.task import VALIDATION, GeneratorTask, log_normal
from visagist.training.loop import step_seed
from visagist.training.parallel import Part

LOWEST = 2 * SIGMA_MIN
"""Lowest base level t that is trained: at 0.002 itself, t = r and the weight 1 / (t - r) has no
bound. Of ln t ~ N(-0.4, 1.6^2), 7 draws in 10 000 fall below."""
PROBED = (0.5, 5.0, 80.0)
"""Base levels at which a validation looks."""
_DROPOUT = 1 << 21
"""Dropout's seeds are numbered from here, apart from those of batches."""


class ConsistencyTask(GeneratorTask):
    """Estimates from two points of a trajectory are to agree, down to the clean picture.

    Args:
        recipe: of the training.
        network: encoder and decoder on their device, usually with the encoder of stage 1.
        pretrained: the frozen networks of stage 1 for the auxiliary loss; needed where it has a
            weight.
        teacher: a diffusion network whose trajectories are followed; needed where the recipe
            distils.
        pictures: to learn from.
        held_out: to validate on, or nothing.

    Raises:
        ConfigError: the auxiliary loss has a weight, and there is no encoder for it; or there is
            nothing to distil.
    """

    recipe: ConsistencyRecipe

    def __init__(
        self,
        recipe: ConsistencyRecipe,
        network: GeneratorNetwork,
        *,
        pretrained: PretrainNetwork | None,
        pictures: Pictures,
        held_out: Pictures | None,
        teacher: GeneratorNetwork | None = None,
    ) -> None:
        self.consistency = recipe.consistency
        if self.consistency.auxiliary > 0 and pretrained is None:
            raise ConfigError(
                "consistency.auxiliary needs the encoder of a stage-1 run; give one, or set it to 0"
            )
        if self.consistency.distil != (teacher is not None):
            raise ConfigError(
                "consistency.distil needs --teacher, or --start: a finished diffusion run of the "
                "same network"
            )
        judged = forward_macs(recipe.network, encoder_only=True) if pretrained else 0
        super().__init__(
            recipe,
            network,
            batch=recipe.consistency.batch,
            pictures=pictures,
            held_out=held_out,
            # a pass for the target, one forward and back; the judge: clean, and through its input
            macs=(4 + self.consistency.distil) * forward_macs(recipe.network) + 3 * judged,
        )
        self._teacher = None if teacher is None else teacher.eval().requires_grad_(False)
        self.pretrained = pretrained
        if pretrained is not None:
            pretrained.requires_grad_(False)

    def levels_of(self, draws: Levels, step: int) -> tuple[Levels, Levels]:
        """(B,) base levels t and r < t from standard normal draws."""
        config = self.consistency
        t = log_normal(draws, config.log_mean, config.log_std, LOWEST, SIGMA_MAX)
        stage = min(config.first_stage + step // config.stage_steps, config.last_stage)
        return t, consistency_target(t, stage)

    def weights(self, t: Levels, r: Levels) -> Levels:
        """(B,) weights 1 / (t - r) of pairs of levels, up to the cap."""
        found = 1 / (t - r)
        cap = self.consistency.weight_cap
        return np.minimum(found, cap) if cap else found

    def part_losses(self, model: nn.Module, step: int, part: Part) -> Mapping[str, Tensor]:
        """Pseudo-Huber distance of the two estimates, and the auxiliary loss."""
        config, factor = self.consistency, shift(self.config.image_size)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            batch = self.batches.draw(step, part)
            t, r = (factor * level for level in self.levels_of(batch.draws.normal(), step))
            given = self.given(batch)
            eps = batch.draws.noise(*batch.image.shape[1:])
            noisy = batch.image + column(t, eps) * eps
            cleaner = self._cleaner(batch.image, eps, noisy, (t, r), given)
        seed = step_seed(self.recipe.loop.seed, step, _DROPOUT + part.number)
        with torch.no_grad():
            torch.manual_seed(seed)
            target = consistent_estimate(model, self.config, cleaner, r, given)
        torch.manual_seed(seed)  # the same units are dropped in both passes
        estimate = consistent_estimate(model, self.config, noisy, t, given)
        weight = torch.from_numpy(self.weights(t, r).astype(np.float32)).to(self.device)
        losses = {"consistency": pseudo_huber(estimate, target, weight, c=config.huber)}
        if self.pretrained is not None and config.auxiliary > 0:
            losses["auxiliary"] = config.auxiliary * self._auxiliary(estimate, batch)
        return losses

    def _cleaner(
        self, image: Tensor, eps: Tensor, noisy: Tensor, levels: tuple[Levels, Levels], given: Given
    ) -> Tensor:
        """The second point: of the picture's own noise, or a step of Euler by the teacher."""
        t, r = levels
        if self._teacher is None:
            return image + column(r, eps) * eps
        clean = clean_estimate(self._teacher, self.config, noisy, t, given).float()
        return clean + column(r / t, eps) * (noisy - clean)

    def _auxiliary(self, estimate: Tensor, batch: Batch) -> Tensor:
        """NCE(W(f(x_t)), sg W(x)): an estimate is to look like its own picture to the encoder."""
        ours = self._judged(estimate)
        with torch.no_grad():
            theirs = self._judged(batch.image)
        with torch.autocast(self.device.type, enabled=False):
            return info_nce(ours, theirs, self.consistency.auxiliary_temperature)

    def _judged(self, image: Tensor) -> Tensor:
        if self.pretrained is None:
            raise ConfigError("there is no encoder of stage 1")
        sigma = np.full(len(image), SIGMA_MIN * shift(self.config.image_size))
        time = time_condition(sigma, self.config.encoder_width, image)
        scaled = image * column(input_scale(sigma), image)
        features: Tensor = self.pretrained(scaled, time)[0]
        if self.consistency.auxiliary_projector:
            features = self.pretrained.projector(features)
        return features

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean squared error of one jump from some base levels, on held-out pictures."""
        if self.held_out is None:
            return {}
        batch = self.held_out.fixed(VALIDATION)
        numbers = {}
        for level in PROBED:
            sigma = np.full(len(batch.image), level * shift(self.config.image_size))
            given: Given = self.given(batch) if batch.label is not None else NOTHING
            if self.config.source:
                given = self.given(batch)
            eps = batch.draws.noise(*batch.image.shape[1:])
            noisy = batch.image + column(sigma, eps) * eps
            estimate = consistent_estimate(model, self.config, noisy, sigma, given)
            numbers[f"mse_{level:g}"] = float((estimate - batch.image).square().mean())
        return numbers
