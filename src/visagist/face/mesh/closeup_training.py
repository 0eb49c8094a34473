"""Training of the close-ups: windows where the mesh network puts them, points where labels are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead
from visagist.corpus.feed.cache import FaceCache, cached_faces
from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import ConfigError
from visagist.face.mesh.closeup_network import CloseupNetwork, CloseupNetworkConfig
from visagist.face.mesh.closeups import (
    REGIONS,
    SIZE,
    Region,
    middle,
    mirrored_mesh,
    region_points,
)
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.topology import N_POINTS
from visagist.training.augmentation import AugmentConfig
from visagist.training.degrade import cover, degrade, light_curves
from visagist.training.loop import LoopConfig, best_device
from visagist.training.loop import train as run_loop
from visagist.training.run import read_recipe, write_run

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Report = Callable[[str, int, int], None]
_ROUND = 128


class CloseupTrainingConfig(BaseModel):
    """How windows are placed and weighed. Lengths are pixels of the canonical crop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(64, description="windows of eyes a step, and as many of lips", ge=1)
    shift: float = Field(2.5, description="standard deviation of a window's place", ge=0)
    roll: float = Field(4.0, description="degrees, standard deviation of its roll", ge=0)
    scale: float = Field(0.05, description="standard deviation of the logarithm of its size", ge=0)
    fine_weight: float = Field(3.0, description="weight of lid, iris and lip points", gt=0)
    slack: float = Field(0.05, description="squared pixels of the window that are no error", gt=0)


class CloseupRecipe(BaseModel):
    """One trained artefact: ``recipes/mesh-closeups.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = Field(description="which faces; crops a little wider than canonical ones")
    shares: tuple[float, ...] = Field(
        (), description="how often a face of each corpus is drawn; all alike by default"
    )
    most: int = Field(
        4000, description="faces of a corpus and split that are used, evenly spread", ge=1
    )
    network: CloseupNetworkConfig = CloseupNetworkConfig()
    training: CloseupTrainingConfig = CloseupTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """Faces with two meshes.

    Attributes:
        crops: (N, S, S, 3) uint8.
        labelled: (N, 478, 3) in crop pixels.
        found: (N, 478, 3) of the mesh network.
        unit: crop pixels per pixel of the canonical crop.
    """

    crops: Bytes
    labelled: Floats
    found: Floats
    unit: float

    @property
    def side(self) -> int:
        """Of a crop in pixels."""
        return int(self.crops.shape[1])


def found_faces(
    faces: FaceCache, predictor: MeshPredictor, report: Callable[[int, int], None]
) -> FoundFaces:
    """Faces of a cache, with what the mesh network finds on them.

    Args:
        faces: crops with their labels.
        predictor: without close-ups of its own.
        report: called with faces done and in all.
    """
    found = np.empty((len(faces), N_POINTS, 3), np.float32)
    for i in range(len(faces)):
        found[i] = predictor.predict_near(np.ascontiguousarray(faces.crops[i]), faces.meshes[i])
        report(i + 1, len(faces))
    unit = faces.crops.shape[1] / (256 * faces.zoom)
    return FoundFaces(faces.crops, faces.meshes, found, unit)


def spread(faces: FaceCache, most: int) -> FaceCache:
    """At most so many faces of a cache, evenly spread over it."""
    if len(faces) <= most:
        return faces
    chosen = np.linspace(0, len(faces) - 1, most).astype(int)
    return replace(
        faces,
        crops=faces.crops[chosen],
        meshes=faces.meshes[chosen],
        keys=tuple(faces.keys[i] for i in chosen),
        splits=tuple(faces.splits[i] for i in chosen),
    )


@dataclass(frozen=True, slots=True)
class View:
    """One window.

    Attributes:
        image: (64, 64, 3) uint8.
        points: (P, 2) labelled places in pixels of the window.
        found: (P, 2) places of the mesh network.
        unit: pixels of the window per pixel of the canonical crop.
    """

    image: Bytes
    points: Floats
    found: Floats
    unit: float


def view(
    faces: FoundFaces,
    number: int,
    name: str,
    *,
    mirrored: bool,
    moved: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
) -> View:
    """Cut one window.

    Args:
        faces: to cut from; they are aligned, so windows stand upright but for ``moved``.
        number: of the face.
        name: of the region.
        mirrored: see the face from behind.
        moved: shift in x and y in pixels of the canonical crop, degrees of roll, and size.
    """
    region: Region = REGIONS[name]
    crop, side = np.asarray(faces.crops[number]), faces.side
    found, labelled = faces.found[number], faces.labelled[number]
    if mirrored:
        crop = crop[:, ::-1]
        found, labelled = mirrored_mesh(found, side), mirrored_mesh(labelled, side)
    x, y, roll, size = moved
    centre = middle(found / faces.unit, region) * faces.unit + np.array([x, y]) * faces.unit
    scale = SIZE / (region.side * faces.unit * size)
    angle = np.deg2rad(roll)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.concatenate([turn, (SIZE / 2 - turn @ centre)[:, None]], 1)
    centred = matrix.copy()  # cv2 counts pixel centres from 0, we from .5
    centred[:, 2] += centred[:, :2] @ np.full(2, 0.5) - 0.5
    image = cv2.warpAffine(
        np.ascontiguousarray(crop),
        centred,
        (SIZE, SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    chosen, _, _ = region_points(name)
    places = [mesh[chosen, :2] @ turn.T + matrix[:, 2] for mesh in (labelled, found)]
    return View(
        np.asarray(image, np.uint8),
        places[0].astype(np.float32),
        places[1].astype(np.float32),
        float(scale * faces.unit),
    )


def point_weights(name: str, fine: float) -> Floats:
    """(P,) weights of a region's points, 1 on average."""
    chosen, _, _ = region_points(name)
    weights = np.where(np.isin(chosen, REGIONS[name].fine), fine, 1.0)
    return np.asarray(weights / weights.mean(), np.float32)


Batch = Mapping[str, tuple[Tensor, Tensor]]


class CloseupTask:
    """Model, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        faces: training faces of each corpus.
        held_out: validation faces of each corpus.
        device: where to train.
        workers: threads that make batches ahead.

    Raises:
        ConfigError: there are more or fewer shares than corpora.
    """

    def __init__(
        self,
        recipe: CloseupRecipe,
        faces: Sequence[FoundFaces],
        held_out: Sequence[FoundFaces],
        device: torch.device,
        *,
        workers: int = 1,
    ) -> None:
        if recipe.shares and len(recipe.shares) != len(faces):
            raise ConfigError(f"{len(recipe.shares)} shares for {len(faces)} corpora")
        self.recipe, self.device = recipe, device
        self.faces, self.held_out = faces, held_out
        counts = np.array([len(f.crops) for f in faces], np.float64)
        wanted = counts * np.array(recipe.shares or [1.0] * len(faces))
        self._shares = wanted / wanted.sum()
        torch.manual_seed(recipe.loop.seed)
        self.network = CloseupNetwork(recipe.network).to(device)
        self._weights = {
            name: torch.from_numpy(point_weights(name, recipe.training.fine_weight)).to(device)
            for name in REGIONS
        }
        self._batches = Ahead(self.batch, steps=recipe.loop.steps, workers=workers)

    @property
    def model(self) -> nn.Module:
        """The networks being trained."""
        return self.network

    def batch(self, step: int) -> Batch:
        """Windows and points of a step, by region: a function of seed and step alone."""
        rng = np.random.default_rng((self.recipe.loop.seed, step))
        return {
            name: self._tensors([self._draw(name, rng) for _ in range(self.recipe.training.batch)])
            for name in REGIONS
        }

    def _draw(self, name: str, rng: np.random.Generator) -> View:
        config, augment = self.recipe.training, self.recipe.augment
        faces = self.faces[rng.choice(len(self.faces), p=self._shares)]
        x, y = rng.normal(0, config.shift, 2)
        moved = (x, y, rng.normal(0, config.roll), float(np.exp(rng.normal(0, config.scale))))
        number, mirrored = int(rng.integers(len(faces.crops))), bool(rng.random() < 0.5)
        cut = view(faces, number, name, mirrored=mirrored, moved=moved)
        image = np.asarray(cv2.LUT(cut.image, light_curves(rng, augment.photometric)[None]))
        if rng.random() < augment.photometric.grey:
            image = np.repeat(image.mean(2, keepdims=True), 3, 2).astype(np.uint8)
        if rng.random() < augment.occlusion.active:
            mask, colour = cover((SIZE, SIZE), rng, augment.occlusion.strength)
            image = np.rint(image + mask * (colour - image)).astype(np.uint8)
        image = degrade(np.asarray(image, np.uint8), rng, augment)
        return View(image, cut.points, cut.found, cut.unit)

    def _tensors(self, views: Sequence[View]) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(np.stack([v.image for v in views])).to(self.device)
        points = torch.from_numpy(np.stack([v.points for v in views])).to(self.device)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1, points

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Distances of the points in pixels of the windows, of eyes and of lips."""
        with torch.autocast(generator.device.type, enabled=False):
            batch = self._batches[step]
        (eyes, eye_points), (mouths, lip_points) = (batch[name] for name in ("eye", "lips"))
        eye, lips = model(eyes, mouths)
        slack = self.recipe.training.slack
        return {
            name: (
                ((made.float() - true).square().sum(-1) + slack).sqrt() * self._weights[name]
            ).mean()
            for name, made, true in (("eye", eye, eye_points), ("lips", lips, lip_points))
        }

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean errors of fine points in pixels of the canonical crop, before and after."""
        assert isinstance(model, CloseupNetwork)
        numbers: dict[str, float] = {}
        for name in REGIONS:
            network: nn.Module = getattr(model, name)
            views = [
                view(faces, i, name, mirrored=mirrored)
                for faces in self.held_out
                for i in range(len(faces.crops))
                for mirrored in (False, True)
            ]
            made = [
                network(self._tensors(views[i : i + _ROUND])[0]).cpu().numpy()
                for i in range(0, len(views), _ROUND)
            ]
            fine = np.isin(region_points(name)[0], REGIONS[name].fine)
            true = np.stack([v.points for v in views])[:, fine]
            unit = views[0].unit
            for label, places in (
                ("found", np.stack([v.found for v in views])[:, fine]),
                ("refined", np.concatenate(made)[:, fine]),
            ):
                error = np.linalg.norm(places - true, axis=-1).mean() / unit
                numbers[f"{name}_{label}"] = float(error)
        return numbers


def train(
    recipe: Path,
    *,
    data: Sequence[Path],
    output: Path,
    cache: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Report = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the close-ups of the bundled mesh network.

    Args:
        recipe: ``recipes/mesh-closeups.yaml`` or another.
        data: corpora; a corpus without people of the validation split only teaches.
        output: folder for log, checkpoints and final weights.
        cache: folder for decoded faces, which trainings may share; in ``output`` by default.
        resume: go on from the last checkpoint in ``output``.
        workers: threads that make batches ahead.
        preparing: called with what is being prepared, how much of it is done, and in all.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export closeups``.

    Raises:
        ConfigError: the recipe cannot be used.
        DataError: a corpus has no face for it.
    """
    settings = read_recipe(recipe, CloseupRecipe)
    predictor = MeshPredictor.from_pretrained(closeups=None)
    taught: list[FoundFaces] = []
    held_out: list[FoundFaces] = []
    for folder in data:
        faces = cached_faces(
            Corpus.open(folder),
            settings.data,
            cache or output / "cache",
            workers=max(1, workers),
            progress=partial(preparing, "decode"),
        )
        for split, into in (("train", taught), ("validation", held_out)):
            if split in faces.splits:
                some = spread(faces.subset(split), settings.most)
                into.append(found_faces(some, predictor, partial(preparing, "find")))
    task = CloseupTask(settings, taught, held_out, best_device(), workers=workers)
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output
