"""The default backend: layers on the mesh, and a network that read the same pairs from pixels.

The two see a face differently, so they err differently: the layers where a mesh is off by a pixel
or hair hangs over it, the network where five pairs have shown it nothing like this face. Their mean
is better than either (the table of docs/papers/dal.md has both). The network is a student of the
pairs alone, started from the bundled one, and takes a few minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.amplify.backend import CropFace, Look, Progress, silent
from visagist.amplify.layers import Canvas, Layers, lift_layers
from visagist.amplify.mesh_transfer import FILE, MeshStyle, read_layers
from visagist.amplify.student import START, student_recipe, train_student
from visagist.errors import DataError, InputError, ModelDamagedError, ModelMissingError
from visagist.face.align import CROP_SIZE
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.training.run import load_weights, read_run, write_run

Floats = NDArray[np.float32]

STUDENT = "student"
"""Folder, inside a style's own, of the network."""
_EDGE = 16
_ZOOM = (CROP_SIZE + 2 * _EDGE) / CROP_SIZE
"""Looks are canonical crops; a training needs room around them, which no makeup reaches."""
_TOGETHER = 8


class EnsembleConfig(BaseModel):
    """How the default backend learns and paints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(400, description="of the network's training on the pairs", ge=1)
    share: float = Field(0.5, description="of the network in the mean; 0: layers alone", ge=0, le=1)
    start: str = Field(START, description="makeup model that the network starts from")


class EnsembleStyle:
    """A style in both ways.

    Args:
        layers: in the atlas.
        network: of one style, in evaluation mode.
        recipe: that it was trained by.
        share: of the network.
    """

    def __init__(
        self, layers: Layers, network: MakeupNetwork, recipe: MakeupRecipe, share: float
    ) -> None:
        self.layers, self.recipe, self.share = layers, recipe, share
        self.network = network.eval()

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels, 0 where nothing may be painted; nothing is random."""
        out = np.zeros((len(faces), CROP_SIZE, CROP_SIZE, 3), np.float32)
        for first in range(0, len(faces), _TOGETHER):
            some = faces[first : first + _TOGETHER]
            drawn = self._drawn(np.stack([face.crop for face in some]))
            for i, face in enumerate(some):
                canvas = Canvas(face.crop, face.mesh)
                ours = drawn[i] * canvas.allowed[..., None]
                out[first + i] = canvas.lay(self.layers) * (1 - self.share) + ours * self.share
        return out * np.float32(strength)

    @torch.inference_mode()
    def _drawn(self, crops: NDArray[np.uint8]) -> Floats:
        """(N, 256, 256, 3) residuals of the network in levels."""
        images = torch.from_numpy(crops).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        residuals = self.network(images, torch.ones(len(crops), 1)) * 255
        return np.asarray(residuals.permute(0, 2, 3, 1).numpy(), np.float32)

    def save(self, folder: Path) -> None:
        """Write the layers, the network and its recipe."""
        MeshStyle(self.layers).save(folder)
        write_run(folder / STUDENT, self.network, self.recipe)


class EnsembleBackend:
    """Lifts layers and trains a network on the pairs.

    Args:
        config: the settings.
        work: folder for checkpoints, so that a fit that was stopped goes on; none are kept without.
    """

    name = "ensemble"

    def __init__(self, config: EnsembleConfig | None = None, *, work: Path | None = None) -> None:
        self.config, self._work = config or EnsembleConfig(), work

    def fit(
        self, looks: Sequence[Look], *, seed: int = 0, progress: Progress = silent
    ) -> EnsembleStyle:
        """Learn a style in both ways.

        Raises:
            InputError: there is no look.
            ModelError: the network that it starts from is missing or damaged.
        """
        layers = lift_layers(looks)
        config = self.config
        recipe = student_recipe([STUDENT], steps=config.steps, seed=seed, start=config.start)

        def told(step: int, numbers: Mapping[str, float]) -> None:
            progress(step, config.steps)

        with ExitStack() as stack:
            folder = self._work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            targets = _targets(looks)
            run = train_student(
                recipe, targets, targets[:1], folder / STUDENT, zoom=_ZOOM, start=config.start,
                progress=told,
            )  # fmt: skip
            return EnsembleStyle(layers, _opened(run)[1], recipe, config.share)

    def load(self, folder: Path) -> EnsembleStyle:
        """A style that was saved.

        Raises:
            ModelMissingError: the folder has none.
            ModelDamagedError: a file is not what was written.
        """
        layers = read_layers(folder / FILE)
        if not (folder / STUDENT).is_dir():
            raise ModelMissingError(f"{folder} holds no style: {STUDENT} is missing")
        try:
            recipe, network = _opened(folder / STUDENT)
        except DataError as error:
            raise ModelDamagedError(f"{error}; learn the style again") from error
        return EnsembleStyle(layers, network, recipe, self.config.share)


def _targets(looks: Sequence[Look]) -> NDArray[np.uint8]:
    """(N, 2, 288, 288, 3) bare and made up; where a look shows nothing, the two are the same."""
    if not looks:
        raise InputError("a style is learned from at least one pair; none was given")
    pairs = []
    for look in looks:
        before = look.before.astype(np.float32)
        after = before + (look.after.astype(np.float32) - before) * look.valid[..., None]
        pairs.append(np.stack([look.before, np.clip(np.rint(after), 0, 255).astype(np.uint8)]))
    edges = ((0, 0), (0, 0), (_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0))
    return np.pad(np.stack(pairs), edges, mode="reflect")


def _opened(run: Path) -> tuple[MakeupRecipe, MakeupNetwork]:
    recipe, weights = read_run(run, MakeupRecipe)
    network = MakeupNetwork(recipe.network)
    load_weights(network, weights, run)
    return recipe, network
