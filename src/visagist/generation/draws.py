"""Randomness that does not depend on how a batch is divided.

Blocks of a few pictures have generators of their own, seeded by (seed, step, block). A process that
computes a part of a step's batch makes the draws of its blocks, so one process and many make the
same batches, and a run that was stopped goes on with the same ones.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.training.loop import step_seed
from visagist.training.parallel import Part

_BLOCKS = 1 << 20
"""Blocks are numbered from here, so that no block shares its seed with a part of the step."""


class Draws:
    """Random numbers for a part of a step's batch.

    Small numbers (which picture, which noise level) come from NumPy and are the same on every
    device; large ones (noise, crops) are drawn on the device.

    Args:
        seed: of the run.
        step: of the run.
        batch: pictures of the whole step.
        part: of it.
        block: pictures that share a generator.
        device: where large draws are made.

    Raises:
        ConfigError: the batch cannot be divided so.
    """

    def __init__(
        self, seed: int, step: int, *, batch: int, part: Part, block: int, device: torch.device
    ) -> None:
        pictures = part.cut(batch, block=block)
        blocks = range(pictures.start // block, pictures.stop // block)
        self.count, self.device, self._block = len(pictures), device, block
        self._small = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step, number])))
            for number in blocks
        ]
        self._large = [
            torch.Generator(device).manual_seed(step_seed(seed, step, _BLOCKS + number))
            for number in blocks
        ]

    def uniform(self) -> NDArray[np.float64]:
        """(count,) in [0, 1)."""
        return np.concatenate([rng.random(self._block) for rng in self._small])

    def normal(self) -> NDArray[np.float64]:
        """(count,) standard normal."""
        return np.concatenate([rng.standard_normal(self._block) for rng in self._small])

    def noise(self, *shape: int) -> Tensor:
        """(count, *shape) float32 standard normal on the device."""
        return torch.cat(
            [
                torch.randn((self._block, *shape), generator=generator, device=self.device)
                for generator in self._large
            ]
        )

    def spread(self, *shape: int) -> Tensor:
        """(count, *shape) float32 uniform in [0, 1) on the device."""
        return torch.cat(
            [
                torch.rand((self._block, *shape), generator=generator, device=self.device)
                for generator in self._large
            ]
        )


def picked(cumulative: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers drawn with the probabilities whose running sums are given (the last one is 1)."""
    found = np.searchsorted(cumulative, draws, side="right")
    return np.minimum(found, len(cumulative) - 1).astype(np.int64)
