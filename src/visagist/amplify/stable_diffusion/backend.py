"""The Stable Diffusion amplifier behind the interface of :mod:`visagist.amplify.backend`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from visagist.amplify.backend import CropFace, Floats, Look, Progress, silent
from visagist.amplify.stable_diffusion.adapter import Adapter
from visagist.amplify.stable_diffusion.config import DiffusionSettings
from visagist.amplify.stable_diffusion.fit import fit_adapter
from visagist.amplify.stable_diffusion.render import Renderer
from visagist.amplify.stable_diffusion.weights import Networks, load_networks, weights_folder
from visagist.errors import InputError, ModelDamagedError, ModelError, ModelMissingError
from visagist.face.align import CROP_SIZE
from visagist.makeup.zones import PARTS
from visagist.photo.files import write_atomically
from visagist.training.loop import best_device

WEIGHTS, CONFIG = "adapter.safetensors", "config.json"
_STYLE = "style."


class StyleFile(BaseModel):
    """Contents of ``config.json`` beside the weights of styles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = "stable-diffusion"
    base: str
    settings: DiffusionSettings
    regions: dict[str, str]


class DiffusionStyle:
    """Styles that were fitted together, and which of them each region gets.

    Args:
        networks: with the adapter's LoRA in their UNet.
        adapter: what was trained.
        settings: of fit and rendering.
        styles: vector (D,) of each style's makeup.
        regions: name of the style for ``lips``, ``eyes`` and ``skin``; a region that is left out
            stays bare.

    Raises:
        InputError: there is no such region or style, or none is given.
    """

    def __init__(
        self,
        networks: Networks,
        adapter: Adapter,
        settings: DiffusionSettings,
        styles: Mapping[str, Tensor],
        regions: Mapping[str, str],
    ) -> None:
        self.networks, self.adapter, self.settings = networks, adapter, settings
        unknown = sorted({*regions} - {*PARTS}) + sorted({*regions.values()} - {*styles})
        if unknown or not regions:
            raise InputError(
                f"regions are {', '.join(PARTS)} and styles {', '.join(styles)}; "
                f"got {', '.join(unknown) or 'none'}"
            )
        self.styles, self.regions = dict(styles), dict(regions)

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels; exactly 0 outside the regions.

        Args:
            faces: to be made up.
            strength: factor on the whole change, 0 for none. The settings' ``shade`` is the paper's
                ``lambda_m`` and leaves the rest of the change as it is.
            seed: of the noise; without ``eta`` in the settings nothing is drawn.
        """
        renderer = Renderer(self.networks, self.adapter.projection, self.settings)
        styles = {region: self.styles[name] for region, name in self.regions.items()}
        changes = np.zeros((len(faces), CROP_SIZE, CROP_SIZE, 3), np.float32)
        for first in range(0, len(faces), self.settings.batch):
            some = slice(first, first + self.settings.batch)
            changes[some] = renderer.changes(faces[some], styles, seed=seed)
        return changes * np.float32(strength)

    def wearing(self, name: str) -> DiffusionStyle:
        """The same model with one of its styles in all regions.

        Raises:
            InputError: there is no style of this name.
        """
        regions = dict.fromkeys(PARTS, name)
        return DiffusionStyle(self.networks, self.adapter, self.settings, self.styles, regions)

    def combined(self, others: Mapping[str, DiffusionStyle]) -> DiffusionStyle:
        """This style, with another one in some regions (the paper's combination of styles).

        Args:
            others: of the same fit, by region; see :meth:`wearing`. Where the other leaves a region
                bare, so does the combination.

        Raises:
            InputError: a region is unknown, nothing is left to paint, or a style is of another fit.
        """
        unknown = sorted({*others} - {*PARTS})
        if unknown:
            raise InputError(f"regions are {', '.join(PARTS)}, not {', '.join(unknown)}")
        if any(other.adapter is not self.adapter for other in others.values()):
            raise InputError("styles of different fits are different models: fit them together")
        regions = {r: name for r, name in self.regions.items() if r not in others}
        regions |= {r: other.regions[r] for r, other in others.items() if r in other.regions}
        return DiffusionStyle(self.networks, self.adapter, self.settings, self.styles, regions)

    def save(self, folder: Path) -> None:
        """Write LoRA, projection and style vectors, without the networks of others."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = self.adapter.portable()
        tensors |= {_STYLE + name: v.cpu().contiguous() for name, v in self.styles.items()}
        about = StyleFile(base=self.networks.base, settings=self.settings, regions=self.regions)
        write_atomically(folder / WEIGHTS, save(tensors), overwrite=True)
        text = about.model_dump_json(indent=2) + "\n"
        write_atomically(folder / CONFIG, text.encode(), overwrite=True)


class StableDiffusionBackend:
    """LoRA on Stable Diffusion, as the paper has it.

    Args:
        weights: folder with the frozen networks; ``$VISAGIST_STABLE_DIFFUSION`` or the user's own
            folder when ``None``.
        settings: of fit and rendering.
        work: folder for checkpoints, so that an interrupted fit goes on; each fit has a folder of
            its own in it. ``None`` keeps none.
        device: where to run; a GPU where there is one.
    """

    name = "stable-diffusion"

    def __init__(
        self,
        weights: Path | None = None,
        settings: DiffusionSettings | None = None,
        *,
        work: Path | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.weights, self.work = weights, work
        self.settings = settings or DiffusionSettings()
        self.device = device or best_device()

    def fit(
        self, looks: Sequence[Look], *, seed: int = 0, progress: Progress = silent
    ) -> DiffusionStyle:
        """Learn one style.

        Raises:
            InputError: there is no look.
            ModelMissingError: there are no weights; the message says where to get them.
            ModelDamagedError: the weights cannot be read.
        """
        return self.fit_styles({"style": looks}, seed=seed, progress=progress)

    def fit_styles(
        self,
        styles: Mapping[str, Sequence[Look]],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> DiffusionStyle:
        """Learn several styles in one model; the first is worn until others are combined.

        Raises:
            InputError: there is no style, or one without a look.
            ModelMissingError: there are no weights; the message says where to get them.
            ModelDamagedError: the weights cannot be read.
        """
        if not styles or not all(styles.values()):
            raise InputError("a style is fitted on at least one look")
        networks = load_networks(weights_folder(self.weights), self.device)
        with _work_folder(self.work, self._identity(networks, styles, seed)) as work:
            adapter, vectors = fit_adapter(
                networks, styles, self.settings, work, seed=seed, progress=progress
            )
        worn = dict.fromkeys(PARTS, next(iter(styles)))
        return DiffusionStyle(networks, adapter, self.settings, vectors, worn)

    def _identity(self, networks: Networks, styles: Mapping[str, Sequence[Look]], seed: int) -> str:
        """Digest of everything that decides a fit, so that no other fit is taken up again."""
        sha = hashlib.sha256(f"{networks.base} {self.settings!r} {seed}".encode())
        for name, looks in styles.items():
            sha.update(f"{name} {len(looks)}".encode())
            for look in looks:
                for array in (look.before, look.after, look.mesh, look.valid):
                    sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def load(self, folder: Path) -> DiffusionStyle:
        """Styles that were saved, on the networks they were fitted on.

        Raises:
            ModelMissingError: the folder holds none, or the networks' weights are missing.
            ModelDamagedError: a file is not what was written.
            ModelError: the style was fitted on other networks.
        """
        about, tensors = _read(folder)
        networks = load_networks(weights_folder(self.weights), self.device)
        if about.base != networks.base:
            raise ModelError(
                f"{folder}: the style was fitted on other weights of Stable Diffusion than those "
                "here; fit it again, or use the weights it was fitted on"
            )
        adapter = Adapter(networks, about.settings)
        adapter.restore({n: v for n, v in tensors.items() if not n.startswith(_STYLE)})
        styles = {n[len(_STYLE) :]: v for n, v in tensors.items() if n.startswith(_STYLE)}
        try:
            return DiffusionStyle(networks, adapter, about.settings, styles, about.regions)
        except InputError as error:
            raise ModelDamagedError(f"{folder / CONFIG}: {error}") from error


def _read(folder: Path) -> tuple[StyleFile, dict[str, Tensor]]:
    try:
        about = StyleFile.model_validate_json((folder / CONFIG).read_bytes())
        return about, load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else WEIGHTS
        raise ModelMissingError(f"{folder} holds no style: {missing} is missing") from error
    except (OSError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelDamagedError(f"{folder}: damaged ({reason}); fit the style again") from error


@contextmanager
def _work_folder(work: Path | None, identity: str) -> Iterator[Path]:
    """The folder of one fit; without a work folder it is gone afterwards."""
    if work is None:
        with tempfile.TemporaryDirectory(prefix="visagist-fit-") as folder:
            yield Path(folder)
        return
    yield work / identity
