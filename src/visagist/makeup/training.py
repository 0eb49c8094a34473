"""Training of the makeup network: the step that the shared loop runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead
from visagist.corpus.feed.cache import cached_faces
from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import ConfigError
from visagist.makeup.config import MakeupNetworkConfig, MakeupTrainingConfig
from visagist.makeup.data import (
    EYE_STRIP,
    PATCH,
    MakeupBatch,
    MakeupDataset,
    render_targets,
    to_batch,
)
from visagist.makeup.losses import equivariance, residual_losses
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.style import load_style
from visagist.training.augmentation import AugmentConfig, GeometricConfig
from visagist.training.loop import LoopConfig, best_device
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run


class MakeupRecipe(BaseModel):
    """One trained artefact: ``recipes/makeup-tiny.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = FeedConfig(use="makeup", size=288, zoom=1.125)
    network: MakeupNetworkConfig
    training: MakeupTrainingConfig = MakeupTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


_CALM = AugmentConfig(geometric=GeometricConfig(roll=2.0, shift=2.0 / 256, scale=0.02))
"""What validation sees: the misplacement that a good mesh leaves."""


class MakeupTask:
    """Model, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        targets: (N, 1 + styles, H, W, 3) rendered training faces.
        held_out: the same for validation faces.
        zoom: field of view of both in canonical crops.
        device: where to train.
        workers: threads that prepare batches ahead; 0 for none.
        strengths: (N, styles) how much of its style each training face wears; 1 by default.
        start: state of the network to start from; random weights by default.
    """

    def __init__(
        self,
        recipe: MakeupRecipe,
        targets: NDArray[np.uint8],
        held_out: NDArray[np.uint8],
        *,
        zoom: float,
        device: torch.device,
        workers: int = 0,
        strengths: NDArray[np.float32] | None = None,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.loop.seed)
        self.network = MakeupNetwork(recipe.network).to(device)
        if start is not None:
            self.network.load_state_dict(start)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.codes = torch.eye(len(recipe.network.styles), device=device)
        self.dataset = MakeupDataset(
            targets,
            zoom=zoom,
            config=recipe.training,
            augmentation=recipe.augment,
            seed=recipe.loop.seed,
            steps=recipe.loop.steps,
            strengths=strengths,
        )
        calm = recipe.training.model_copy(
            update={
                "styles_per_face": len(recipe.network.styles), "batch": 8,
                "patches": 1 << 20,
            }
        )  # fmt: skip
        self.held_out = MakeupDataset(
            held_out,
            zoom=zoom,
            config=calm,
            augmentation=_CALM,
            seed=1,
            steps=max(1, min(8, len(held_out) // 8)),
        )
        self._batches = Ahead(self.dataset.__getitem__, steps=recipe.loop.steps, workers=workers)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Reconstruction on K styles a face, and shift equivariance on a part of the batch."""
        cfg = self.recipe.training
        batch = to_batch(self._batches[step], self.device)
        image = batch.image.contiguous(memory_format=torch.channels_last)
        n, count = len(image), round(len(image) * cfg.consistency_share)
        count = count if cfg.shift_consistency > 0 else 0
        dx, dy = torch.randint(-3, 4, (2,), generator=generator, device=generator.device).tolist()
        moved = torch.roll(image[:count], (dy, dx), (2, 3))
        network = cast("MakeupNetwork", model)
        features = network.trunk(torch.cat([image, moved]) if count else image)
        codes = self._codes(batch)
        where = batch.where[:, None].expand(-1, features.shape[1], -1)
        patches = network.patches(features[:n].flatten(2).gather(2, where), codes)
        first = codes[:, :1]
        eyes = self._strip(network, features[:n], first)
        losses = dict(residual_losses(patches, batch.patches, eyes, batch.eyes, cfg))
        if count:
            after = self._whole(network, features[n:], first[:count])[:, 0]
            before = self._whole(network, features[:count], first[:count])[:, 0]
            losses["shift"] = cfg.shift_consistency * equivariance(after, before, (dx, dy))
        return losses

    def _codes(self, batch: MakeupBatch) -> Tensor:
        """(B, K, styles): the residual is linear in the code, so half a style is half a code."""
        return self.codes[batch.styles] * batch.strengths[..., None]

    def _strip(self, network: MakeupNetwork, features: Tensor, codes: Tensor) -> Tensor:
        """(B, 3, h, w) residual of the first code in the eye strip."""
        rows, columns = (slice(s.start // PATCH, s.stop // PATCH) for s in EYE_STRIP)
        return self._whole(network, features[:, :, rows, columns], codes)[:, 0]

    def _whole(self, network: MakeupNetwork, features: Tensor, codes: Tensor) -> Tensor:
        """(B, K, 3, H, W) residuals of a rectangle of features."""
        patches = network.patches(features.flatten(2), codes)
        return torch.pixel_shuffle(torch.unflatten(patches, 3, features.shape[2:]), PATCH)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """PSNR of held-out people in calm crops, its gain over the bare face, and the leak."""
        network = cast("MakeupNetwork", model)
        psnr, bare, leak = [], [], []
        for step in range(len(self.held_out)):
            batch = to_batch(self.held_out[step], self.device)
            features = network.trunk(batch.image)
            predicted = network.patches(features.flatten(2), self._codes(batch))
            error = (predicted - batch.patches).square().mean((2, 3))
            floor = batch.patches.square().mean((2, 3))
            psnr.append(-10 * torch.log10(error.clamp_min(1e-9)))
            bare.append(-10 * torch.log10(floor.clamp_min(1e-9)))
            outside = (batch.patches.abs() < 1.5 / 255).float()
            leak.append((predicted.abs() * outside).sum((2, 3)) / predicted.abs().sum((2, 3)))
        gain = torch.cat(psnr).mean() - torch.cat(bare).mean()
        return {
            "psnr": float(torch.cat(psnr).mean()),
            "gain": float(gain),
            "leak": float(torch.cat(leak).mean()),
        }


def train(
    recipe: Path,
    *,
    data: Path,
    output: Path,
    cache: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Callable[[str, int, int], None] = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the makeup network of a recipe on a corpus.

    Args:
        recipe: ``recipes/makeup-tiny.yaml`` or another.
        data: folder of the corpus; its faces are made up by the retoucher first.
        output: folder for targets, log, checkpoints and final weights.
        cache: folder for decoded faces, which trainings may share; in ``output`` by default.
        resume: go on from the last checkpoint in ``output``.
        workers: processes that render targets, and threads that prepare batches.
        preparing: called with what is being prepared, how much of it is done, and in all.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export makeup``.
    """
    settings = read_recipe(recipe, MakeupRecipe)
    if settings.data.shuffle_buffer:
        raise ConfigError("data.shuffle_buffer: makeup is drawn on every face once, from a cache")
    faces = cached_faces(
        Corpus.open(data),
        settings.data,
        cache or output / "cache",
        workers=max(1, workers),
        progress=partial(preparing, "decode"),
    )
    styles = [load_style(name) for name in settings.network.styles]
    targets = {}
    for split in ("train", "validation"):
        part = faces.subset(split)
        told = _counting(preparing, f"make up ({split})", len(part))
        path = output / f"{split}.npy"
        targets[split] = render_targets(part, styles, path, workers=max(1, workers), progress=told)
    task = MakeupTask(
        settings,
        targets["train"],
        targets["validation"],
        zoom=faces.zoom,
        device=best_device(),
        workers=workers,
    )
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output


def _counting(
    preparing: Callable[[str, int, int], None], what: str, total: int
) -> Callable[[int], None]:
    return lambda done: preparing(what, done, total)
