"""Distillation of the embedding network: the step that the shared loop runs.

Its second training, with labels and with unlabelled faces, is :mod:`visagist.recognition.finetune`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.corpus.feed.batches import Ahead
from visagist.errors import ConfigError
from visagist.recognition.compress import compress, teachers_shape
from visagist.recognition.config import RecognizerRecipe
from visagist.recognition.data import Faces, open_faces
from visagist.recognition.network import make_network
from visagist.recognition.sampling import Sampler, tone_shares
from visagist.recognition.teacher import Teacher
from visagist.recognition.teaching import teacher_vectors
from visagist.training.loop import best_device, step_seed
from visagist.training.loop import train as run_loop
from visagist.training.run import load_weights, read_recipe, read_run, write_run


@dataclass(frozen=True, slots=True)
class Taught:
    """Faces with the teacher's vectors.

    Attributes:
        faces: N of them.
        vectors: (N, d) float32, not normalised.
    """

    faces: Faces
    vectors: NDArray[np.float32]


class DistillTask:
    """Model, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        network: to train, with its first weights.
        taught: training faces, and what the teacher makes of them.
        held_out: the same for validation.
        device: where to train.
        weights: (N,) chance of each training face to be drawn; ``None``: all alike.
        workers: threads that make batches ahead.
    """

    def __init__(
        self,
        recipe: RecognizerRecipe,
        network: nn.Module,
        taught: Taught,
        held_out: Taught,
        *,
        device: torch.device,
        weights: NDArray[np.float64] | None = None,
        workers: int = 1,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.network = network.to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.faces, self.held_out = taught.faces, held_out.faces
        # Around the mean face of the training set: dlib's vectors share a large constant part.
        mean = taught.vectors.mean(0)
        self.targets = F.normalize(torch.from_numpy(taught.vectors - mean)).to(device)
        self.held_out_targets = F.normalize(torch.from_numpy(held_out.vectors - mean)).to(device)
        self.sampler = Sampler(recipe.distill, self.targets, weights)
        self._batches = Ahead(self.batch, steps=recipe.loop.steps, workers=workers)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    @torch.no_grad()
    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) disturbed views and the (B, d) targets of the faces as they are."""
        generator = torch.Generator(self.device)
        generator.manual_seed(step_seed(self.recipe.loop.seed, step))
        index = self.sampler.draw(generator)
        views = self.faces.views(index, generator, self.recipe.augment)
        return views, self.targets[index]

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """One less the cosine to the teacher's vector, and the error of cosines within the batch.

        The second is the relational term of Park et al. 2019 ("Relational knowledge distillation"),
        on cosines in place of distances.
        """
        views, targets = self._batches[step]
        vectors = model(views.contiguous(memory_format=torch.channels_last)).float()
        ours = F.normalize(vectors)
        wrong = (ours @ ours.T - targets @ targets.T).square().mean()
        return {
            "direction": 1 - (ours * targets).sum(1).mean(),
            "relation": self.recipe.distill.relation * wrong,
        }

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean cosine to the teacher's vectors of held-out people, and how often they are found."""
        generator = torch.Generator(self.device).manual_seed(0)
        index = torch.arange(len(self.held_out), device=self.device)
        found = [
            F.normalize(model(self.held_out.views(part, generator)).float())
            for part in torch.split(index, 128)
        ]
        ours = torch.cat(found)
        cosines = (ours * self.held_out_targets).sum(1)
        nearest = (ours @ self.held_out_targets.T).argmax(1)
        return {
            "cosine": float(cosines.mean()),
            "cosine_p05": float(cosines.quantile(0.05)),
            "rank1": float((nearest == index).float().mean()),
        }


def train(
    recipe: Path,
    *,
    data: Sequence[Path],
    teacher: Path,
    output: Path,
    cache: Path | None = None,
    start: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Callable[[str, int, int], None] = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the embedding network of a recipe to agree with dlib's.

    Args:
        recipe: ``recipes/recognizer.yaml`` or another.
        data: folders of corpora; no labels are needed.
        teacher: dlib's published weights.
        output: folder for log, checkpoints and final weights.
        cache: folder for decoded faces and the teacher's vectors; by default the run's.
        start: a finished run of the same network whose weights come first, in place of those the
            recipe names.
        resume: go on from the last checkpoint in ``output``.
        workers: threads that make batches ahead.
        preparing: called with what is being made ready, how much is done and of how much.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export recognizer``.
    """
    settings = read_recipe(recipe, RecognizerRecipe)
    network = settings.network
    computed = settings.distill.start == "teacher"
    if start is None and computed and (network.norm or not teachers_shape(network)):
        raise ConfigError(
            f"{recipe}: distill.start: teacher needs a network of the teacher's blocks without "
            "norm; say random, or change network"
        )
    master = Teacher.from_file(teacher)
    cache = cache or output / "cache"
    taught, held_out = (
        _taught(
            open_faces(data, settings.data, cache, split, progress=preparing),
            master,
            cache,
            preparing,
        )
        for split in ("train", "validation")
    )
    torch.manual_seed(settings.loop.seed)
    if start is not None:
        before, weights = read_run(start, RecognizerRecipe)
        if before.network != network:
            raise ConfigError(f"{start}: its network is not the one of {recipe}")
        student = make_network(network)
        load_weights(student, weights, start)
    elif computed and not (resume and (output / "checkpoints").is_dir()):
        student = _computed(settings, master, taught.faces, preparing)
    else:  # random, or about to be replaced by a checkpoint
        student = make_network(network)
    task = DistillTask(
        settings,
        student,
        taught,
        held_out,
        device=best_device(),
        weights=tone_shares(data, taught.faces.keys, settings.distill.even_tones),
        workers=workers,
    )
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output


def _taught(
    faces: Faces, teacher: Teacher, cache: Path, preparing: Callable[[str, int, int], None]
) -> Taught:
    def telling(done: int, total: int) -> None:
        preparing("the teacher", done, total)

    return Taught(faces, teacher_vectors(faces, teacher, cache, progress=telling))


def _computed(
    settings: RecognizerRecipe,
    teacher: Teacher,
    faces: Faces,
    preparing: Callable[[str, int, int], None],
) -> nn.Module:
    generator = torch.Generator().manual_seed(settings.loop.seed)
    count = min(settings.distill.compress_faces, len(faces))
    index = torch.randperm(len(faces), generator=generator)[:count]
    return compress(
        teacher,
        settings.network,
        faces.views(index, generator),
        stem_steps=settings.distill.stem_steps,
        seed=settings.loop.seed,
        progress=lambda done, total: preparing("first weights", done, total),
    )
