"""Guidance by a poorer network, taught to the network itself.

Karras et al., *Guiding a Diffusion Model with a Bad Version of Itself*, NeurIPS 2024
(arXiv 2406.02507): two networks of one kind, one of which has learned less, err in the same
direction, so a step from the poorer estimate past the better one comes nearer to the data. That
costs a second network in every evaluation. As in Meng et al., *On Distillation of Guided Diffusion
Models*, CVPR 2023 (arXiv 2210.03142), a student learns the guided estimate, and one evaluation of
one network is enough again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from visagist.errors import ConfigError, DataError
from visagist.generation.config import DiffusionRecipe, GuidanceConfig, NetworkConfig
from visagist.generation.denoise import Given, Levels, clean_estimate, column
from visagist.generation.network import GeneratorNetwork
from visagist.training.run import load_weights, read_run


class Autoguidance:
    """The estimate of one network, moved away from that of a poorer one.

    Args:
        better: the network that guidance starts from.
        poorer: one of the same configuration that has learned less.
        config: how far, and at which noise.
    """

    def __init__(
        self, better: GeneratorNetwork, poorer: GeneratorNetwork, config: GuidanceConfig
    ) -> None:
        self._better, self._poorer = (n.eval().requires_grad_(False) for n in (better, poorer))
        self._config = config

    @torch.no_grad()
    def __call__(
        self, network: NetworkConfig, noisy: Tensor, base: Levels, sigma: Levels, given: Given
    ) -> Tensor:
        """D_poor + scale (D_good - D_poor), clipped to the range of pictures.

        Args:
            network: configuration of both networks.
            noisy: (B, 3, S, S) x + sigma * eps.
            base: (B,) levels before the shift for the size of the picture.
            sigma: (B,) levels after it.
            given: class and source.

        Returns:
            (B, 3, S, S) in [-1, 1]; the better network's estimate where noise is low.
        """
        good = clean_estimate(self._better, network, noisy, sigma, given).float()
        poor = clean_estimate(self._poorer, network, noisy, sigma, given).float()
        extra = np.where(base > self._config.above, self._config.scale - 1, 0.0)
        return (good + column(extra, good) * (good - poor)).clamp(-1, 1)


def opened_network(wanted: NetworkConfig, run: Path) -> GeneratorNetwork:
    """The network of a finished diffusion run, to be learned from.

    Args:
        wanted: configuration that it must have; dropout apart, which is no part of what it says.
        run: its folder.

    Raises:
        DataError: the run is missing, or its network is another.
    """
    settings, weights = read_run(run, DiffusionRecipe)
    if settings.network.model_copy(update={"dropout": wanted.dropout}) != wanted:
        raise DataError(f"{run}: its network is not that of the recipe")
    network = GeneratorNetwork(settings.network)
    load_weights(network, weights, run)
    return network


def open_autoguidance(
    recipe: DiffusionRecipe, better: Path, poorer: Path, device: torch.device
) -> Autoguidance:
    """The guide of a recipe, from two finished runs of stage 2.

    Args:
        recipe: whose ``diffusion.guidance`` says how far.
        better: run that the student starts from.
        poorer: run of the same network with fewer steps.
        device: where to hold both.

    Raises:
        ConfigError: the recipe has no guidance.
        DataError: a run is missing, or its network is another.
    """
    guidance = recipe.diffusion.guidance
    if guidance is None:
        raise ConfigError("diffusion.guidance is not set; a poorer network has no use without it")
    good, poor = (opened_network(recipe.network, run).to(device) for run in (better, poorer))
    return Autoguidance(good, poor, guidance)
