"""Training of the parser: the step that the shared loop runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import (
    ParserDataConfig,
    ParserNetworkConfig,
    ParserTrainingConfig,
)
from visagist.face.parser.data import ParserData
from visagist.face.parser.losses import confusion, cross_entropy, dice_loss
from visagist.face.parser.network import ParserNetwork
from visagist.face.parser.pack import ParserSet, parser_set
from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run


class ParserRecipe(BaseModel):
    """One trained artefact: ``recipes/face-parser.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: ParserDataConfig = ParserDataConfig()
    network: ParserNetworkConfig = ParserNetworkConfig()
    training: ParserTrainingConfig = ParserTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


class ParserTask:
    """Model, data and losses for :func:`visagist.training.loop.train`."""

    def __init__(self, recipe: ParserRecipe, pictures: ParserSet, device: torch.device) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.loop.seed)
        self.network = ParserNetwork(recipe.network).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shared = (recipe.network, recipe.training, recipe.augment, device)
        self.data = ParserData(pictures, "train", *shared)
        self.held_out = ParserData(pictures, "validation", *shared)
        self.weights = torch.tensor(recipe.training.weights, device=device)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Cross-entropy and Dice loss over the pixels whose class is known."""
        with torch.autocast(generator.device.type, enabled=False), torch.no_grad():
            batch = self.data.draw(generator)
        logits = model(batch.image.contiguous(memory_format=torch.channels_last)).float()
        return {
            "cross_entropy": cross_entropy(logits, batch.target, self.weights),
            "dice": self.recipe.training.dice * dice_loss(logits, batch.target),
        }

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean IoU on held-out people: of renders, and of photos where their labels are known."""
        numbers: dict[str, float] = {}
        for name, index in (("heads", self.held_out.heads), ("photos", self.held_out.photos)):
            if not len(index):
                continue
            total = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
            chosen = index[torch.linspace(0, len(index) - 1, min(len(index), 256)).long()]
            for part in torch.split(chosen, 32):
                batch = self.held_out.fixed(part)
                total += confusion(model(batch.image).float().argmax(1), batch.target).cpu()
            for label, value in zip(CLASSES, iou(total).tolist(), strict=True):
                if not math.isnan(value):  # a class that is not shown has no number
                    numbers[f"{name}_{label}"] = value
            scores = iou(total)
            numbers[f"{name}_miou"] = float(scores[~scores.isnan()].mean())
        return numbers


def iou(counts: Tensor) -> Tensor:
    """(C,) intersection over union from a confusion matrix; NaN for classes that never occur."""
    both = counts.diagonal().double()
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    scores: Tensor = both / torch.where(union > 0, union, torch.nan)
    return torch.where(counts.sum(1) > 0, scores, torch.nan)


def train(
    recipe: Path,
    *,
    data: Path,
    heads: Path | None,
    output: Path,
    resume: bool = False,
    building: Callable[[int, int], None] = lambda done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the parser of a recipe on photos and rendered heads.

    Args:
        recipe: ``recipes/face-parser.yaml`` or another.
        data: labelled tree with the photos.
        heads: corpus of rendered heads; without one the network learns from photos alone, and
            knows hair only as far as colours tell it from the rest.
        output: folder for the set, log, checkpoints and final weights.
        resume: go on from the last checkpoint in ``output``.
        building: called with pictures done and in all while the set is built.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export parser``.
    """
    settings = read_recipe(recipe, ParserRecipe)
    pictures = parser_set(data, heads, settings.data, output / "set", progress=building)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = ParserTask(settings, pictures, device)
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output
