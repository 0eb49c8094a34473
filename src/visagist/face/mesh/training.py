"""Training of the mesh network: the step that the shared loop runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from visagist.corpus.pack import Pack, PackConfig, pack_for_training
from visagist.face.mesh.config import MeshNetworkConfig, MeshTrainingConfig
from visagist.face.mesh.data import MeshData
from visagist.face.mesh.losses import (
    confidence_loss,
    confidence_target,
    point_weights,
    relative_errors,
    wing_loss,
)
from visagist.face.mesh.network import MeshNetwork
from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run


class MeshRecipe(BaseModel):
    """One trained artefact: ``recipes/face-mesh.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: PackConfig
    network: MeshNetworkConfig = MeshNetworkConfig()
    training: MeshTrainingConfig = MeshTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


class MeshTask:
    """Model, data and losses for :func:`visagist.training.loop.train`."""

    def __init__(self, recipe: MeshRecipe, pack: Pack, device: torch.device) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.loop.seed)
        self.network = MeshNetwork(recipe.network).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shared = (recipe.network, recipe.training, recipe.augment, device)
        self.data = MeshData(pack.subset("train"), *shared)
        self.held_out = MeshData(pack.subset("validation"), *shared)
        self.weights = point_weights(recipe.training.eye_weight).to(device)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Wing loss on the points of faces, cross-entropy on the confidence of every crop."""
        with torch.autocast(generator.device.type, enabled=False), torch.no_grad():
            batch = self.data.draw(generator)
        points, logit = model(batch.image.contiguous(memory_format=torch.channels_last))
        points, logit = points.float(), logit.float()
        target = confidence_target(
            relative_errors(points.detach(), batch.mesh), self.recipe.training.good_error
        )
        face = batch.is_face
        wing = wing_loss(points, batch.mesh, self.weights)
        return {
            "points": 10 * (wing * face).sum() / face.sum().clamp_min(1),
            "confidence": 0.05 * confidence_loss(logit, target * face).mean(),
        }

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Median relative error on held-out people: upright, rolled by 30 degrees, occluded."""
        numbers: dict[str, float] = {}
        index = torch.arange(len(self.held_out), device=self.held_out.crops.device)
        for name, roll, occluded in (
            ("upright", 0.0, False),
            ("roll30", 30.0, False),
            ("occluded", 0.0, True),
        ):
            errors, confidence = [], []
            for part in torch.split(index, 256):
                batch = self.held_out.fixed(part, roll=roll, occluded=occluded)
                points, logit = model(batch.image)
                errors.append(relative_errors(points.float(), batch.mesh).mean(1))
                confidence.append(torch.sigmoid(logit.float()))
            numbers[f"{name}_median"] = float(torch.cat(errors).median())
            numbers[f"{name}_confidence"] = float(torch.cat(confidence).median())
        return numbers


def train(
    recipe: Path,
    *,
    data: Path,
    output: Path,
    resume: bool = False,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the mesh network of a recipe on a labelled tree.

    Args:
        recipe: ``recipes/face-mesh.yaml`` or another.
        data: the labelled tree; its faces are packed into ``output`` first.
        output: folder for the pack, log, checkpoints and final weights.
        resume: go on from the last checkpoint in ``output``.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export mesh``.
    """
    settings = read_recipe(recipe, MeshRecipe)
    pack = pack_for_training(data, output / "pack.npz", settings.data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = MeshTask(settings, pack, device)
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output
