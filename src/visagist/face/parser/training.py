"""Training of the parser: the step that the shared loop runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.data import ParserData
from visagist.face.parser.inference import Parser
from visagist.face.parser.losses import confusion, cross_entropy, dice_loss
from visagist.face.parser.network import ParserNetwork
from visagist.face.parser.pack import ParserSet, head_set, photo_set
from visagist.face.parser.teacher import taught_labels
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run


class ParserTask:
    """Model, data and losses for :func:`visagist.training.loop.train`."""

    def __init__(
        self,
        recipe: ParserRecipe,
        photos: ParserSet,
        heads: ParserSet | None,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.loop.seed)
        self.network = ParserNetwork(recipe.network).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data = ParserData(photos, heads, "train", recipe, device)
        self.held_out = ParserData(photos, heads, "validation", recipe, device)
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
        sources = {"heads": self.held_out.heads, "photos": self.held_out.photos}
        for name, pictures in sources.items():
            if pictures is None or not len(pictures.index):
                continue
            total = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
            count = len(pictures.index)
            chosen = pictures.index[torch.linspace(0, count - 1, min(count, 256)).long()]
            for part in torch.split(chosen, 32):
                batch = self.held_out.fixed(pictures, part)
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
        output: folder for the sets, log, checkpoints and final weights.
        resume: go on from the last checkpoint in ``output``.
        building: called with pictures done and in all while the set is built.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export parser``.
    """
    settings = read_recipe(recipe, ParserRecipe)
    root = output / "sets"
    photos = photo_set(data, settings.data, root, progress=building)
    if settings.data.teacher:
        teacher = Parser.from_pretrained(settings.data.teacher)
        photos = replace(photos, labels=taught_labels(photos, teacher, progress=building))
    renders = None if heads is None else head_set(heads, settings.data, root, progress=building)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = ParserTask(settings, photos, renders, device)
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output
