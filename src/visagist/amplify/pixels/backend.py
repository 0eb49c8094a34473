"""The pixel amplifier as a backend: a base, the updates of a style, and faces made up with them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from visagist.amplify.backend import CropFace, Look, Progress, silent
from visagist.amplify.layers import Canvas, Layers, lift_layers
from visagist.amplify.masks import by_region
from visagist.amplify.mesh_transfer import FILE, MeshStyle, read_layers
from visagist.amplify.pixels.config import AmplifierRecipe, FinetuneConfig, SamplingConfig
from visagist.amplify.pixels.examples import CHANNELS, room, stored_windows
from visagist.amplify.pixels.finetune import finetune, with_updates
from visagist.amplify.pixels.training import WINDOW_KINDS, Views, views, without_style
from visagist.amplify.pixels.windows import joined, windows
from visagist.amplify.residual import makeup_change
from visagist.errors import InputError, ModelDamagedError
from visagist.face.align import CROP_SIZE
from visagist.generation.denoise import Given, clean_estimate
from visagist.generation.network import GeneratorNetwork
from visagist.generation.samplers import Denoise, clamped, multistep
from visagist.makeup.zones import PARTS
from visagist.photo.files import write_atomically
from visagist.runtime.store import open_model
from visagist.training.loop import best_device
from visagist.training.run import WEIGHTS

Floats = NDArray[np.float32]
UPDATES, SETTINGS = "updates.safetensors", "pixels.json"
_LEAST_LEVEL = 0.05
"""Where a walk of several steps ends; below it nothing is left to decide."""
_TOGETHER = 8
"""Faces that go through the network at a time."""


@dataclass(frozen=True)
class Base:
    """The base that every style starts from.

    Attributes:
        network: on its device, in evaluation mode.
        recipe: it was trained with.
        model_id: name, version and digest, which a style is tied to.
    """

    network: GeneratorNetwork
    recipe: AmplifierRecipe
    model_id: str

    @classmethod
    def from_pretrained(cls, name_or_dir: str | os.PathLike[str] = "amplifier") -> Base:
        """Open a bundled or own base.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest, or is no base.
        """
        model = open_model(name_or_dir, network=WEIGHTS)
        try:
            recipe = AmplifierRecipe.model_validate(model.config["recipe"])
            network = GeneratorNetwork(recipe.network)
            packed = model.read(WEIGHTS)
            network.load_state_dict({k: v.float() for k, v in load(packed).items()})
        except (KeyError, ValidationError, SafetensorError, RuntimeError) as error:
            raise ModelDamagedError(f"{model.path}: this is no amplifier ({error})") from error
        digest = hashlib.sha256(packed).hexdigest()[:12]
        identity = f"{model.manifest.name}-{model.manifest.version}-{digest}"
        return cls(network.to(best_device()).eval(), recipe, identity)


class PixelStyle:
    """A style that the pixel amplifier has learned.

    Args:
        base: it started from.
        layers: of its pairs.
        updates: of the base, by name; none leaves the base as it is.
        rank: of the updates.
        sampling: how faces are made up.
        others: further styles for single regions, by region: ``skin``, ``eyes`` or ``lips``.
    """

    def __init__(
        self,
        base: Base,
        layers: Layers,
        updates: Mapping[str, Tensor],
        *,
        rank: int,
        sampling: SamplingConfig,
        others: Mapping[str, PixelStyle] | None = None,
    ) -> None:
        self.base, self.layers, self.sampling = base, layers, sampling
        self.updates, self.rank = dict(updates), rank
        self.others = dict(others or {})
        network = base.network
        self._network = with_updates(network, self.updates, rank) if updates else network

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels; 0 outside the regions of the face."""
        out = np.zeros((len(faces), CROP_SIZE, CROP_SIZE, 3), np.float32)
        for first in range(0, len(faces), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            out[some] = self._render(faces[some], seed)
        return out * np.float32(strength)

    def combined(self, others: Mapping[str, PixelStyle]) -> PixelStyle:
        """This style, with another one in some regions (the paper's combination of styles).

        Args:
            others: by region; of a combination it is what it has in that region.

        Raises:
            InputError: a region is unknown.
        """
        unknown = sorted({*others} - {*PARTS})
        if unknown:
            raise InputError(f"regions are {', '.join(PARTS)}, not {', '.join(unknown)}")
        worn = {region: style.others.get(region, style) for region, style in others.items()}
        return PixelStyle(
            self.base,
            self.layers,
            self.updates,
            rank=self.rank,
            sampling=self.sampling,
            others={**self.others, **worn},
        )

    def save(self, folder: Path) -> None:
        """Write layers, updates and settings.

        Raises:
            InputError: styles are combined; save each of them.
        """
        if self.others:
            raise InputError("a combination is not a style of its own: save its styles")
        MeshStyle(self.layers).save(folder)
        write_atomically(folder / UPDATES, save(self.updates), overwrite=True)
        settings = {
            "base": self.base.model_id,
            "rank": self.rank,
            "sampling": self.sampling.model_dump(),
        }
        text = json.dumps(settings, indent=2) + "\n"
        write_atomically(folder / SETTINGS, text.encode(), overwrite=True)

    def _render(self, faces: Sequence[CropFace], seed: int) -> Floats:
        canvases = [Canvas(face.crop, face.mesh) for face in faces]
        noise = np.stack([_noise(seed, face.key) for face in faces])
        changes = self._changes(canvases, noise)
        if not self.others:
            return changes
        by_style = {
            region: style._changes(canvases, noise) for region, style in self.others.items()
        }
        out = []
        for i, canvas in enumerate(canvases):
            given = {region: of_style[i] for region, of_style in by_style.items()}
            out.append(by_region(given, canvas.masks, changes[i]))
        return np.stack(out)

    def _changes(self, canvases: Sequence[Canvas], noise: Floats) -> Floats:
        """(N, 256, 256, 3) changes of this style alone."""
        laid = [canvas.lay(self.layers) for canvas in canvases]
        margin = self.sampling.margin
        stored = np.stack(
            [
                stored_windows(
                    canvas,
                    change,
                    np.clip(canvas.bring(self.layers.known), 0, 1) * canvas.seen,
                    change,
                    margin=margin,
                )
                for canvas, change in zip(canvases, laid, strict=True)
            ]
        )
        count, shape = len(canvases), stored.shape[2:]
        flat = stored.reshape(-1, *shape)
        styled = self._pass(flat, noise)
        source = _levels(flat[..., CHANNELS["bare"]])
        bare = self._pass(without_style(flat), noise) if self.sampling.bare_pass else source
        room_seen = _levels(flat[..., CHANNELS["room"]][..., 0]) / np.float32(255)
        wanted = makeup_change(
            bare,
            styled,
            source,
            np.asarray(room_seen, np.float32),
            shade=self.sampling.shade,
            detail=self.sampling.detail,
        )
        # The network corrects at its own resolution; the layers' finer detail stays as it is.
        here = _levels(flat[..., CHANNELS["laid"]]) - source
        correction = (wanted - here * self.sampling.shade).reshape(count, -1, *wanted.shape[1:])
        out = []
        for canvas, change, moved in zip(canvases, laid, correction, strict=True):
            free = room(canvas, margin)[..., None]
            full = change * self.sampling.shade + joined(windows(canvas.mesh), moved)
            out.append(np.asarray(full * free, np.float32))
        return np.stack(out)

    @torch.no_grad()
    def _pass(self, stored: NDArray[np.uint8], noise: Floats) -> Floats:
        """(N x 4, 64, 64, 3) levels: what the network makes of the windows."""
        network, start = self._network, self.base.recipe.levels.start
        device = next(network.parameters()).device
        kinds = np.tile(np.array(WINDOW_KINDS), len(noise))
        seen = views(stored, kinds, device)
        eps = torch.from_numpy(noise.reshape(-1, *noise.shape[2:])).to(device)
        estimate = clamped(_denoiser(network, seen))
        if self.sampling.steps == 1:
            made = estimate(seen.laid + start * eps, start)
        else:
            ladder = np.geomspace(start, _LEAST_LEVEL, self.sampling.steps)
            # The walk expects noise times its highest level: the laid style rides along.
            made = multistep(estimate, eps + seen.laid / start, [float(v) for v in ladder])
        levels: Floats = ((made + 1) * 127.5).permute(0, 2, 3, 1).cpu().numpy()
        return levels


class PixelBackend:
    """Learns styles on top of a base.

    Args:
        base: name or folder; the bundled one by default.
        tuning: how pairs bend it.
        sampling: how faces are made up.
    """

    name = "pixels"

    def __init__(
        self,
        base: str | os.PathLike[str] | Base = "amplifier",
        *,
        tuning: FinetuneConfig | None = None,
        sampling: SamplingConfig | None = None,
    ) -> None:
        self.base = base if isinstance(base, Base) else Base.from_pretrained(base)
        self.tuning = tuning or FinetuneConfig()
        self.sampling = sampling or SamplingConfig()

    def fit(
        self, looks: Sequence[Look], *, seed: int = 0, progress: Progress = silent
    ) -> PixelStyle:
        """Lift the layers, then bend the base.

        Raises:
            InputError: there is no look.
        """
        layers = lift_layers(looks)
        updates = finetune(
            self.base.network, self.base.recipe, looks, self.tuning, seed=seed, progress=progress
        )
        return PixelStyle(self.base, layers, updates, rank=self.tuning.rank, sampling=self.sampling)

    def load(self, folder: Path) -> PixelStyle:
        """A style that was saved.

        Raises:
            ModelMissingError: the folder holds none.
            ModelDamagedError: a file is not what was written, or belongs to another base.
        """
        layers = read_layers(folder / FILE)
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            updates = load((folder / UPDATES).read_bytes())
            if settings["base"] != self.base.model_id:
                raise ModelDamagedError(
                    f"{folder}: learned on {settings['base']}, not on {self.base.model_id}; "
                    "learn it again"
                )
            return PixelStyle(
                self.base,
                layers,
                updates,
                rank=int(settings["rank"]),
                sampling=SamplingConfig.model_validate(settings["sampling"]),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelDamagedError(
                f"{folder}: damaged ({error}); learn the style again"
            ) from error


def _denoiser(network: GeneratorNetwork, seen: Views) -> Denoise[Tensor]:
    given = Given(seen.label, seen.condition)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return clean_estimate(network, network.config, x, np.full(len(x), sigma), given)

    return denoise


def _levels(planes: NDArray[np.uint8]) -> Floats:
    return planes.astype(np.float32)


def _noise(seed: int, key: str) -> Floats:
    """(4, 3, 64, 64) standard normal noise of a face; both passes start from the same."""
    words = np.frombuffer(key.encode().ljust(4, b"\0"), np.uint8)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words.tolist()])))
    return rng.standard_normal((len(WINDOW_KINDS), 3, 64, 64)).astype(np.float32)
