"""Training of the mesh network: the step that the shared loop runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead, StreamBatches
from visagist.corpus.feed.cache import FaceCache, cached_faces
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.corpus.feed.stream import ShardStream
from visagist.face.mesh.config import MeshNetworkConfig, MeshTrainingConfig
from visagist.face.mesh.data import MeshBatch, MeshData
from visagist.face.mesh.losses import (
    confidence_loss,
    confidence_target,
    point_weights,
    relative_errors,
    wing_loss,
)
from visagist.face.mesh.network import MeshNetwork
from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig, best_device, step_seed
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run


class MeshRecipe(BaseModel):
    """One trained artefact: ``recipes/face-mesh.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = FeedConfig(use="mesh", size=256, zoom=2.2)
    network: MeshNetworkConfig = MeshNetworkConfig()
    training: MeshTrainingConfig = MeshTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


class MeshTask:
    """Model, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        faces: training faces, as arrays or as a stream.
        held_out: validation faces.
        device: where to train.
        workers: threads that make batches ahead, or decode where faces are a stream; 0 for none.
    """

    def __init__(
        self,
        recipe: MeshRecipe,
        faces: FaceCache | ShardStream,
        held_out: FaceCache,
        device: torch.device,
        *,
        workers: int = 1,
    ) -> None:
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.loop.seed)
        self.network = MeshNetwork(recipe.network).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shared = (recipe.network, recipe.training, recipe.augment, device)
        self.held_out = MeshData(held_out, *shared)
        if isinstance(faces, FaceCache):
            self.data, self._stream = MeshData(faces, *shared), None
        else:
            self.data = self.held_out
            self._stream = StreamBatches(faces, recipe.training.batch, workers=workers)
            workers = min(workers, 1)  # a stream is read in order; its own threads decode
        self._batches = Ahead(self.batch, steps=recipe.loop.steps, workers=workers)
        self.weights = point_weights(recipe.training.eye_weight).to(device)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    @torch.no_grad()
    def batch(self, step: int) -> MeshBatch:
        """The batch of a step: a function of the recipe's seed and the step alone."""
        generator = torch.Generator(self.device)
        generator.manual_seed(step_seed(self.recipe.loop.seed, step))
        if self._stream is None:
            return self.data.draw(generator)
        return self.data.disturbed(*self.data.prepared(*self._stream(step)), generator)

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Wing loss on the points of faces, cross-entropy on the confidence of every crop."""
        with torch.autocast(generator.device.type, enabled=False):
            batch = self._batches[step]
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
    cache: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Callable[[str, int, int], None] = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the mesh network of a recipe on a corpus.

    Args:
        recipe: ``recipes/face-mesh.yaml`` or another.
        data: folder of the corpus.
        output: folder for log, checkpoints and final weights.
        cache: folder for decoded faces, which trainings may share; in ``output`` by default.
        resume: go on from the last checkpoint in ``output``.
        workers: threads that make batches ahead.
        preparing: called with what is being prepared, how much of it is done, and in all.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export mesh``.
    """
    settings = read_recipe(recipe, MeshRecipe)
    corpus, device = Corpus.open(data), best_device()
    cached = partial(
        cached_faces,
        corpus,
        settings.data,
        cache or output / "cache",
        workers=max(1, workers),
        progress=partial(preparing, "decode"),
    )
    faces: FaceCache | ShardStream
    if settings.data.shuffle_buffer:
        records = select_faces(corpus, settings.data, ("train",))
        buffer = settings.data.shuffle_buffer
        faces = ShardStream(corpus, records, settings.data, seed=settings.loop.seed, buffer=buffer)
        held_out = cached(splits=("validation",))
    else:
        both = cached()
        faces, held_out = both.subset("train"), both.subset("validation")
    task = MeshTask(settings, faces, held_out, device, workers=workers)
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output
