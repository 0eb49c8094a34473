"""The generator as users hold it: a seed in, pictures out, ONNX Runtime; no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError, ModelDamagedError
from visagist.generation.noise import (
    SIGMA_MIN,
    input_scale,
    output_scale,
    shift,
    sinusoid,
    skip_scale,
)
from visagist.generation.samplers import (
    Denoise,
    clamped,
    consistency,
    consistency_levels,
    guided,
    heun,
    multistep,
    picture_noise,
    sampling_levels,
)
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, list_models, open_model

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
DEFAULT = "generator-64"
FEW = 4
"""Steps up to which a one-step model is the better one where a diffusion model is there too."""
_MANY = "-diffusion"
_MULTISTEP_BELOW = 20
"""Evaluations from which on Heun's method is the better one (EDM networks on FFHQ, 64 px)."""


def model_for(name_or_dir: str | os.PathLike[str], steps: int | None) -> str | os.PathLike[str]:
    """The model that fits a number of steps: ``NAME`` for a few, ``NAME-diffusion`` for more.

    A one-step model gains little by further steps, a diffusion model needs them and draws better
    pictures with them; two models that belong together have names like that. A folder is taken as
    it is, and so is a name without a second model.

    Args:
        name_or_dir: what the user named.
        steps: that the user asked for; nothing stands for the better pictures.
    """
    if not isinstance(name_or_dir, str):
        return name_or_dir
    known = list_models()
    many = f"{name_or_dir}{_MANY}"
    if many in known and (name_or_dir not in known or steps is None or steps > FEW):
        return many
    return name_or_dir


@dataclass(frozen=True, slots=True)
class Request:
    """What pictures are asked for beside their seeds.

    Attributes:
        label: class of every picture; None for any.
        guidance: 1 follows the class as trained, more exaggerates it at middle noise levels.
        sources: (N, S, S, 3) uint8 pictures to change, for networks that take them.
        masks: (N, S, S, M) in [0, 1] where they may be changed.
    """

    label: int | None = None
    guidance: float = 1.0
    sources: Bytes | None = None
    masks: Floats | None = None


PLAIN = Request()


class Generator:
    """Makes pictures.

    Args:
        model: an opened generator.
        threads: of ONNX Runtime.

    Attributes:
        side: of the pictures in pixels.
        stage: ``diffusion`` (many steps) or ``consistency`` (one or a few).
        classes: that can be asked for; 0 for none.
        model_id: name, version and digest of the network, for marks in files.
        folder: where the model is.
        params: parameters of the network.

    Raises:
        InputError: the network takes hints: it is a part of an amplifier, which gives it them.

    Example:
        >>> faces = Generator.from_pretrained()  # doctest: +SKIP
        >>> pictures = faces.generate(16, seed=7)  # doctest: +SKIP
    """

    def __init__(self, model: ModelFiles, *, threads: int = 1) -> None:
        config = model.config
        try:
            self.side, self.classes = int(config["image_size"]), int(config["classes"])
            self.stage = str(config["stage"])
            self._width = int(config["encoder_width"])
            self._source, self._masks = bool(config["source"]), int(config["masks"])
            # size of the change that an output of 1 makes; 0 where it is the picture itself
            self._residual = float(config.get("residual_scale", 1.0)) * bool(config["residual"])
            hints, self.params = int(config.get("hints", 0)), int(config.get("params", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: {error} is missing or wrong; export the model again"
            ) from error
        if self.stage not in ("diffusion", "consistency"):
            raise ModelDamagedError(f"{model.path}: there is no stage {self.stage!r}")
        if hints:
            raise InputError(
                f"{model.path} takes {hints} channels of hints, which only an amplifier gives; "
                "name a generator that makes pictures from noise"
            )
        self.folder = model.path
        entry = model.manifest.files["model.onnx"]
        self.model_id = f"{model.manifest.name}-{model.manifest.version}-{entry.sha256[:12]}"
        self._session: Any = make_session(model.onnx, threads=threads)

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | os.PathLike[str] = DEFAULT,
        *,
        steps: int | None = None,
        threads: int = 1,
    ) -> Generator:
        """Open a model by name, or any model folder.

        Args:
            name_or_dir: ``generator-64``, or a folder.
            steps: how many will be asked for; up to 4 open a one-step model where there is one, and
                nothing the model for better pictures (:func:`model_for`).
            threads: of ONNX Runtime.

        Raises:
            InputError: the model needs more than noise.
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest, or it is no generator.
        """
        return cls(open_model(model_for(name_or_dir, steps)), threads=threads)

    @property
    def default_steps(self) -> int:
        """1 for a one-step model, else 32."""
        return 1 if self.stage == "consistency" else 32

    def makes(self, steps: int) -> bool:
        """Whether so many steps are what the model is made for: few of one kind, many of the other.

        A one-step model takes more and gains little; a diffusion model takes at least two.
        """
        return steps <= FEW if self.stage == "consistency" else steps > 1

    def generate(
        self,
        count: int,
        *,
        seed: int = 0,
        first: int = 0,
        steps: int | None = None,
        request: Request = PLAIN,
        batch: int = 8,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Bytes:
        """Make pictures. Picture i of a seed is the same however many are made with it.

        Args:
            count: how many.
            seed: of the set, at least 0.
            first: number of the first picture.
            steps: evaluations of the network for a picture without guidance. A one-step model takes
                1 or more; a diffusion model at least 2, by a multistep sampler below 20 and by
                Heun's method from there (an even number is used).
            request: class, guidance, sources.
            batch: pictures at once.
            progress: called with pictures done and in all.

        Returns:
            (count, side, side, 3) uint8 RGB.

        Raises:
            InputError: an argument is out of range, or the model does not take it.
        """
        steps = self.default_steps if steps is None else steps
        self._check(count, min(seed, first), steps, batch, request)
        pictures = np.empty((count, self.side, self.side, 3), np.uint8)
        for begin in range(0, count, batch):
            part = slice(begin, min(begin + batch, count))
            found = self._sample(seed, first + part.start, part, steps, request)
            levels = np.rint((np.clip(found, -1, 1) + 1) * 127.5)
            pictures[part] = levels.astype(np.uint8).transpose(0, 2, 3, 1)
            progress(part.stop, count)
        return pictures

    def _sample(self, seed: int, number: int, part: slice, steps: int, request: Request) -> Floats:
        n, side = part.stop - part.start, self.side
        condition = self._condition(request, part)
        if self.stage == "consistency":
            # further jumps take noise of their own, apart from the first
            noises = [picture_noise(seed, number, n, side, part=i) for i in range(steps)]
            jump = self._jump(request.label, condition)
            return consistency(jump, noises, consistency_levels(steps, side), side=side)
        noise = picture_noise(seed, number, n, side)
        denoise = clamped(self._estimate(request.label, condition))
        if request.label is not None and request.guidance != 1:
            free = clamped(self._estimate(None, condition))
            denoise = guided(denoise, free, scale=request.guidance, side=side)
        if steps < _MULTISTEP_BELOW:
            return multistep(denoise, noise, sampling_levels(steps, side))
        return heun(denoise, noise, sampling_levels(steps // 2 + 1, side))

    def _estimate(self, label: int | None, condition: Floats | None) -> Denoise[Floats]:
        """D(x, sigma) of the network."""

        def denoise(x: Floats, sigma: float) -> Floats:
            n = len(x)
            feed: dict[str, Floats] = {
                "image": (x * np.float32(input_scale(sigma))).astype(np.float32),
                "time": np.repeat(sinusoid(np.array([sigma]), self._width), n, 0),
            }
            if self.classes:
                chosen = np.zeros((n, self.classes + 1), np.float32)
                chosen[:, self.classes if label is None else label] = 1
                feed["label"] = chosen
            if condition is not None:
                feed["condition"] = condition
            output: Floats = self._session.run(None, feed)[0]
            if self._residual and condition is not None:
                masks = condition[:, 3:-1]
                where = masks.max(1, keepdims=True) if masks.shape[1] else np.float32(1)
                output = condition[:, :3] + where * np.float32(self._residual) * output
            return output

        return denoise

    def _jump(self, label: int | None, condition: Floats | None) -> Denoise[Floats]:
        """f(x, t) = c_skip x + c_out D(x, t)."""
        least = SIGMA_MIN * shift(self.side)
        estimate = self._estimate(label, condition)

        def jump(x: Floats, level: float) -> Floats:
            skip, scale = skip_scale(level, least), output_scale(level, least)
            return np.float32(skip) * x + np.float32(scale) * estimate(x, level)

        return jump

    def _condition(self, request: Request, part: slice) -> Floats | None:
        if not self._source:
            return None
        n, side = part.stop - part.start, self.side
        if request.sources is None:
            return np.zeros((n, 4 + self._masks, side, side), np.float32)
        source = request.sources[part].astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
        planes = [source]
        if request.masks is not None:
            planes.append(request.masks[part].astype(np.float32).transpose(0, 3, 1, 2))
        planes.append(np.ones((n, 1, side, side), np.float32))
        return np.concatenate(planes, 1)

    def _check(
        self, count: int, least_number: int, steps: int, batch: int, request: Request
    ) -> None:
        """Refuse what cannot be, with what can."""
        if count < 1 or least_number < 0 or batch < 1:
            raise InputError("count and batch must be at least 1, seed and first at least 0")
        least = 1 if self.stage == "consistency" else 2
        if not least <= steps <= 1000:
            raise InputError(
                f"this is a {self.stage} model: it takes {least} to 1000 steps, not {steps}"
            )
        label = request.label
        if label is not None and not 0 <= label < self.classes:
            raise InputError(f"there is no class {label}; this model has {self.classes} of them")
        given, side = request.sources, self.side
        if given is not None and (not self._source or given.shape != (count, side, side, 3)):
            wanted = f"of shape {(count, side, side, 3)}" if self._source else "not at all"
            raise InputError(f"this model takes sources {wanted}, not {given.shape}")
        masks = request.masks
        if (masks is None) != (given is None or not self._masks):
            raise InputError(f"this model takes {self._masks} masks with each source")
        if masks is not None and masks.shape != (count, side, side, self._masks):
            raise InputError(f"masks must be {(count, side, side, self._masks)}, not {masks.shape}")
