"""Training of the base: what is laid on a face, and noise on it, back to what makeup really does.

At level sigma the network sees ``truth + sigma eps`` with the bare face, the laid style and the
region's mask beside it, and predicts a correction of what is laid: so an untrained network gives
the mesh transfer, and learns only what that gets wrong. Sources: makeup sheet of Data Amplify
Learning (RDM, FGMM: arXiv 2403.15033) for residual, masks and the pass without a style; EPG
(arXiv 2510.12586) for the network and x0-prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.amplify.pixels.config import AmplifierRecipe, LevelsConfig
from visagist.amplify.pixels.examples import CHANNELS, Sitters, make_examples, sitters
from visagist.amplify.pixels.windows import KINDS
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import cached_faces
from visagist.errors import DataError
from visagist.generation.denoise import Given, clean_estimate, column
from visagist.generation.network import GeneratorNetwork, condition_input
from visagist.training.loop import best_device
from visagist.training.loop import train as run_loop
from visagist.training.run import load_weights, read_recipe, read_run, write_run

Bytes = NDArray[np.uint8]
MARGIN = 3
"""Pixels by which windows of the base's training leave the mesh's regions."""
WINDOW_KINDS = (0, 1, 1, 2)
"""Kind of each of the four stored windows."""
LEAST_LEFT = 2e-4
"""Squared error, of pictures in [-1, 1], below which nothing is gained: 43 dB."""
_VALIDATION_SEED = 91
_ROUND = 32


@dataclass(frozen=True, slots=True)
class Views:
    """Windows on their device, pictures in [-1, 1].

    Attributes:
        truth: (B, 3, 64, 64) what is wanted.
        condition: (B, 9, 64, 64) what the network sees beside noise.
        label: (B,) kind of each window.
    """

    truth: Tensor
    condition: Tensor
    label: Tensor

    @property
    def laid(self) -> Tensor:
        """(B, 3, 64, 64) the style as the layers make it: where sampling starts."""
        return self.condition[:, :3]


def views(stored: Bytes, kinds: NDArray[np.int64], device: torch.device) -> Views:
    """Stored windows as the network sees them.

    Args:
        stored: (B, 64, 64, 11) of :mod:`visagist.amplify.pixels.examples`.
        kinds: (B,) kind of each.
        device: where they go.
    """
    planes = torch.from_numpy(np.ascontiguousarray(stored)).to(device).permute(0, 3, 1, 2).float()
    pictures = {name: planes[:, CHANNELS[name]] / 127.5 - 1 for name in ("bare", "laid", "truth")}
    shares = {name: planes[:, CHANNELS[name]] / 255 for name in ("known", "room")}
    condition = condition_input(
        pictures["laid"],
        shares["room"],
        hints=torch.cat([pictures["bare"], shares["known"]], 1),
    )
    return Views(pictures["truth"], condition, torch.from_numpy(kinds).to(device))


def without_style(stored: Bytes) -> Bytes:
    """The same windows with no style: what the pass without a condition sees and shall give."""
    out = stored.copy()
    out[..., CHANNELS["laid"]] = out[..., CHANNELS["truth"]] = stored[..., CHANNELS["bare"]]
    out[..., CHANNELS["known"]] = 0
    return out


def relit(stored: Bytes, rng: np.random.Generator, most: float) -> Bytes:
    """Windows in another light: a gain for each channel, the same for bare, laid and true.

    Args:
        stored: (B, 64, 64, 11).
        rng: random numbers.
        most: largest change of a gain from 1.
    """
    if not most:
        return stored
    # Mostly brightness, a little colour; only what stays below white is not falsified.
    common = rng.uniform(-most, 0.3 * most, (len(stored), 1))
    gains = 1 + common + rng.uniform(-0.3 * most, 0.3 * most, (len(stored), 3))
    out = stored.copy()
    pictures = slice(0, CHANNELS["truth"].stop)
    lit = stored[..., pictures] * np.tile(gains, 3)[:, None, None].astype(np.float32)
    out[..., pictures] = np.clip(np.rint(lit), 0, 255)
    return out


def levels(config: LevelsConfig, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count,) noise levels: a share at the start, the others even in the logarithm."""
    spread = np.exp(rng.uniform(np.log(config.least), np.log(config.start), count))
    return np.where(rng.random(count) < config.at_start, config.start, spread)


def denoised(
    network: GeneratorNetwork,
    model: nn.Module,
    seen: Views,
    sigma: NDArray[np.float64],
    eps: Tensor,
) -> Tensor:
    """(B, 3, 64, 64) estimate from the truth with noise, as a step of the training makes it."""
    noisy = seen.truth + column(sigma, eps) * eps
    return clean_estimate(model, network.config, noisy, sigma, Given(seen.label, seen.condition))


def relative_weight(seen: Views) -> Tensor:
    """(B,) weights that make a step count in proportion to what the laid style leaves to be done.

    A few strong styles on hard faces would otherwise be most of every gradient, while quality is
    judged in dB, face by face.
    """
    left = (seen.laid - seen.truth).square().mean((1, 2, 3))
    return 1 / (left + LEAST_LEFT)


class AmplifierTask:
    """Squared error of the estimate, as a share of that of the laid style.

    Batch and noise follow from seed and step alone.

    Args:
        recipe: of the training.
        network: on its device.
        examples: (N, 4, 64, 64, 11) windows to learn from.
        held_out: the same of people who are not learned from, or nothing.
    """

    def __init__(
        self,
        recipe: AmplifierRecipe,
        network: GeneratorNetwork,
        examples: Bytes,
        held_out: Bytes | None,
    ) -> None:
        self.recipe, self.network = recipe, network
        self.examples, self.held_out = examples, held_out
        self.device = next(network.parameters()).device
        self._kinds = np.array(WINDOW_KINDS)

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Mean over a batch of the squared error, as a share of what the laid style leaves."""
        rng = np.random.default_rng(int(generator.initial_seed()))
        with torch.autocast(self.device.type, enabled=False):
            seen = self._batch(rng)
            sigma = levels(self.recipe.levels, rng, len(seen.truth))
            eps = torch.randn(
                seen.truth.shape,
                generator=torch.Generator().manual_seed(int(rng.integers(1 << 62))),
            ).to(self.device)
        estimate = denoised(self.network, model, seen, sigma, eps)
        wrong = (estimate.float() - seen.truth).square().mean((1, 2, 3))
        return {"denoise": (relative_weight(seen) * wrong).mean()}

    def _batch(self, rng: np.random.Generator) -> Views:
        count = self.recipe.batch
        which = rng.integers(len(self.examples), size=count)
        window = rng.integers(len(WINDOW_KINDS), size=count)
        stored = np.stack([self.examples[i, w] for i, w in zip(which, window, strict=True)])
        kinds = self._kinds[window]
        # An eye is always seen from the same side; everything else may be seen from behind.
        mirrored = (rng.random(count) < 0.5) & (kinds != KINDS.index("eye"))
        stored[mirrored] = stored[mirrored, :, ::-1]
        bare = rng.random(count) < self.recipe.bare_share
        stored[bare] = without_style(stored[bare])
        return views(relit(stored, rng, self.recipe.light), kinds, self.device)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Errors of one step from the start, in dB, and what they gain over the laid style."""
        if self.held_out is None:
            return {}
        numbers: dict[str, float] = {}
        for kind, name in enumerate(KINDS):
            of_kind = np.flatnonzero(self._kinds == kind)
            flat = self.held_out[:, of_kind].reshape(-1, *self.held_out.shape[2:])
            errors = np.array(
                [
                    self._errors(model, flat[i : i + _ROUND], kind, i)
                    for i in range(0, len(flat), _ROUND)
                ]
            )
            own, laid = -10 * np.log10(errors.mean(0) / 4)
            numbers |= {f"{name}_db": float(own), f"{name}_gain_db": float(own - laid)}
        return numbers

    def _errors(self, model: nn.Module, stored: Bytes, kind: int, seed: int) -> tuple[float, float]:
        seen = views(stored, np.full(len(stored), kind), self.device)
        start = self.recipe.levels.start
        generator = torch.Generator().manual_seed(_VALIDATION_SEED + seed)
        eps = torch.randn(seen.truth.shape, generator=generator).to(self.device)
        begun = Views(seen.laid, seen.condition, seen.label)
        made = denoised(self.network, model, begun, np.full(len(stored), start), eps)
        return (
            float((made - seen.truth).square().mean()),
            float((seen.laid - seen.truth).square().mean()),
        )


def train(
    recipe: Path,
    *,
    data: Path,
    output: Path,
    cache: Path | None = None,
    start: Path | None = None,
    workers: int = 1,
    resume: bool = False,
    preparing: Callable[[str, int, int], None] = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train a base.

    Args:
        recipe: ``recipes/amplifier.yaml`` or another.
        data: corpus of faces.
        output: folder for log, checkpoints and final weights.
        cache: folder for decoded faces and examples; ``output``'s own by default.
        start: finished run of the same network that the weights come from.
        workers: processes that draw examples.
        resume: go on from the last checkpoint in ``output``.
        preparing: called with what is prepared, how much is done and how much there is.
        progress: called with the step and numbers of each logged step.

    Raises:
        ConfigError: the recipe cannot be used.
        DataError: the corpus has too few faces, or cannot be read.
    """
    settings = read_recipe(recipe, AmplifierRecipe)
    root = cache or output / "cache"
    faces = cached_faces(
        Corpus.open(data),
        settings.data,
        root,
        workers=workers,
        progress=lambda done, total: preparing("faces", done, total),
    )
    made = {}
    for split, first in (("train", 0), ("validation", 1_000_000)):
        count = settings.examples.groups if split == "train" else settings.examples.held_out
        people = sitters(faces.subset(split), lambda d, n: preparing("meshes", d, n))
        if len(people.crops) < 2:
            raise DataError(f"the corpus has {len(people.crops)} faces of {split}; 2 are needed")
        made[split] = make_examples(
            people,
            settings.examples,
            root / f"examples-{split}.npy",
            groups=range(first, first + count),
            margin=MARGIN,
            workers=workers,
            report=lambda d, n: preparing("examples", d, n),
        )
    network = GeneratorNetwork(settings.network).to(best_device())
    if start is not None:
        _, weights = read_run(start, AmplifierRecipe)
        load_weights(network, weights, start)
    task = AmplifierTask(settings, network, made["train"], made["validation"])
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    return output


__all__ = ["AmplifierTask", "Sitters", "Views", "denoised", "levels", "train", "views"]
