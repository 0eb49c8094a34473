"""Training of the mesh network: the step that the shared loop runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from visagist.corpus.pack import Pack
from visagist.errors import ConfigError
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
from visagist.training.loop import LoopConfig


class MeshRecipe(BaseModel):
    """One trained artefact: ``recipes/face-mesh.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: MeshNetworkConfig = MeshNetworkConfig()
    training: MeshTrainingConfig = MeshTrainingConfig()
    loop: LoopConfig = LoopConfig()


class MeshTask:
    """Model, data and losses for :func:`visagist.training.loop.train`."""

    def __init__(self, recipe: MeshRecipe, pack: Pack, device: torch.device) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.loop.seed)
        self.network = MeshNetwork(recipe.network).to(device)
        self.network.to(memory_format=torch.channels_last)
        self.data = MeshData(pack.subset("train"), recipe.network, recipe.training, device)
        self.held_out = MeshData(
            pack.subset("validation"), recipe.network, recipe.training, device
        )
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
            "points": 10 * (wing * face).sum() / face.sum(),
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
            for part in index.split(256):
                batch = self.held_out.fixed(part, roll=roll, occluded=occluded)
                points, logit = model(batch.image)
                errors.append(relative_errors(points.float(), batch.mesh).mean(1))
                confidence.append(torch.sigmoid(logit.float()))
            numbers[f"{name}_median"] = float(torch.cat(errors).median())
            numbers[f"{name}_confidence"] = float(torch.cat(confidence).median())
        return numbers


def read_recipe(path: Path) -> MeshRecipe:
    """Read ``recipes/face-mesh.yaml``.

    Raises:
        ConfigError: unreadable, or a field is unknown or wrong (named in the message).
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return MeshRecipe.model_validate(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {field}: {first['msg']}") from error
