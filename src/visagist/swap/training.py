"""Training of the swap networks: the step that the shared loop runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.corpus.feed.batches import Ahead
from visagist.errors import ConfigError, DataError
from visagist.photo.files import write_atomically
from visagist.swap.config import SwapRecipe
from visagist.swap.data import TripletBatch, open_triplets
from visagist.swap.discriminator import Discriminators
from visagist.swap.encoder import FrozenEncoder, Seen
from visagist.swap.face_map import face_map
from visagist.swap.losses import (
    discriminator_loss,
    feature_distance,
    generator_loss,
    identity_loss,
    mask_losses,
    matching_loss,
    pixel_loss,
    pixel_weights,
)
from visagist.swap.modulation import SwapOutput, blend
from visagist.swap.network import SwapNetwork, make_network
from visagist.training.loop import best_device
from visagist.training.loop import train as run_loop
from visagist.training.parallel import rank, world_size
from visagist.training.run import load_weights, read_recipe, read_run, write_run

__all__ = ["SwapTask", "Triplets", "load_swap", "scales", "train"]

ENCODER = "encoder.json"
"""In a run: which recogniser's vectors the network was trained with."""
_CORE = 0.6
"""The middle of the face, where copying the target is no swap, as a share of the face."""


class Triplets(Protocol):
    """A source of batches that are a function of step and seed."""

    def draw(self, step: int, batch: int, seed: int) -> TripletBatch:
        """The samples of a step."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch at the side of the training, pictures in [-1, 1].

    Attributes:
        target: (n, 3, s, s).
        truth: (n, 3, s, s); the target where there is no truth.
        weight: (n,).
        view: (n, 3, 112, 112) the recogniser's view of the sources.
        guide: (n, 4, s, s), picture and share in 0..1; ``None`` for a network without.
        label: (n, 3, s, s) what pixels are compared with: the truth; the guide where there is none.
    """

    target: Tensor
    truth: Tensor
    weight: Tensor
    view: Tensor
    guide: Tensor | None
    label: Tensor


def scales(image: Tensor, count: int = 3) -> list[Tensor]:
    """A picture at the full side, a half, a quarter and so on."""
    return [F.avg_pool2d(image, 2**number) if number else image for number in range(count)]


class SwapTask:
    """Network, discriminators, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        network: to train, with its first weights.
        encoder: frozen recogniser, for what is injected and for the losses.
        triplets: training samples.
        held_out: samples of other people, drawn without disturbances; the training's own without.
        device: where to train.
        workers: threads that make batches ahead.
    """

    def __init__(
        self,
        recipe: SwapRecipe,
        network: SwapNetwork,
        encoder: FrozenEncoder,
        triplets: Triplets,
        held_out: Triplets | None = None,
        *,
        device: torch.device,
        workers: int = 0,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.network = network.to(device)
        self.encoder = encoder.to(device)
        torch.manual_seed(recipe.loop.seed)
        self.discriminators = Discriminators(recipe.losses.adversarial).to(device)
        for module in (self.network, self.encoder, self.discriminators):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.triplets, self.held_out = triplets, held_out
        side = recipe.data.size
        self.face = face_map(side).to(device)
        self.core = face_map(side, scale=_CORE).to(device)
        self._batches = Ahead(self._make, steps=recipe.loop.steps, workers=workers)
        self._drawn: tuple[list[Tensor], list[Tensor]] | None = None
        self._told: dict[str, Tensor] = {}

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.network

    @property
    def opponent(self) -> nn.Module:
        """The discriminators of the three scales."""
        return self.discriminators

    @property
    def opponent_rate(self) -> float:
        """Their learning rate as a share of the network's."""
        return self.recipe.losses.adversarial.rate

    def rates(self, steps_per_second: float) -> dict[str, float]:
        """Triplets a second, and what the last step's swaps are like."""
        told = {name: float(value) for name, value in self._told.items()}
        batch = self.recipe.data.batch * world_size()
        return {"triplets_per_second": steps_per_second * batch, **told}

    def _make(self, step: int) -> Prepared:
        return self.prepared(
            self.triplets.draw(step, self.recipe.data.batch, self.recipe.loop.seed)
        )

    @torch.no_grad()
    def prepared(self, batch: TripletBatch) -> Prepared:
        """A batch of triplets as the network sees it."""
        side = self.recipe.data.size

        def image(pixels: Tensor) -> Tensor:
            x = pixels.to(self.device).float() / 127.5 - 1
            times, rest = divmod(x.shape[-1], side)
            if rest or not times:
                raise ConfigError(
                    f"data.size: {side} is no whole part of the triplets' {x.shape[-1]}"
                )
            return F.avg_pool2d(x, times) if times > 1 else x

        target, truth = image(batch.target), image(batch.truth)
        weight = batch.weight.to(self.device).float()
        truth = torch.where(weight[:, None, None, None] > 0, truth, target)
        # The encoder is not asked here: it is busy with the step before, in another thread.
        view = batch.identity_crop.to(self.device).float() / 127.5 - 1
        guide, label = None, truth
        if self.network.config.guided:
            if batch.guide is None:
                raise ConfigError("network.guide: these triplets come without guides")
            levels = batch.guide.to(self.device).float()
            share = levels[:, 3:] / 255
            guide = torch.cat([levels[:, :3] / 127.5 - 1, share], 1)
            laid = blend(guide[:, :3], share, target)
            label = torch.where(weight[:, None, None, None] > 0, truth, laid)
        return Prepared(target, truth, weight, view, guide, label)

    @torch.no_grad()
    def identity(self, batch: Prepared) -> Tensor:
        """(n, d) unit vectors of the sources."""
        vectors: Tensor = self.encoder(batch.view).vectors
        return vectors

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Every term of step ``step``; discriminators judge from their first step on."""
        batch = self._batches[step]
        target = batch.target.contiguous(memory_format=torch.channels_last)
        identity = self.identity(batch)
        out: SwapOutput = model(target, identity, batch.guide)
        config = self.recipe.losses
        taught = step >= config.mask.start
        result = blend(out.images[0], out.mask if taught else out.mask.detach(), target)
        pictures = [result, *out.images[1:]]
        losses = self._pixel(result, out.images, batch)
        if self.network.config.masked:
            # Until it is taught it stays where it starts; zeros keep its weights in the graph.
            guards = mask_losses(out.mask, self.core, config.mask)
            losses |= {name: value * float(taught) for name, value in guards.items()}
        losses |= self._judged(pictures, batch, identity)
        self._drawn = None
        if step >= config.adversarial.start:
            losses |= self._adversarial(pictures, batch)
        change = (result - target).detach().abs().mean()
        self._told |= {"mask_mean": out.mask.detach().mean(), "change": change}
        return losses

    def _pixel(
        self, result: Tensor, images: Sequence[Tensor], batch: Prepared
    ) -> dict[str, Tensor]:
        config = self.recipe.losses.pixel
        share = None if batch.guide is None else batch.guide[:, 3:]
        weights = pixel_weights(
            batch.weight,
            self.face,
            background=config.background,
            share=share,
            guide=config.guide,
        )
        truth = batch.label
        losses = {"pixel": config.weight * pixel_loss(result, truth, weights)}
        if config.raw and self.network.config.masked:
            raw = pixel_loss(images[0], truth, weights)
            losses["pixel_raw"] = config.weight * config.raw * raw
        if config.coarse:
            smaller = zip(images[1:], scales(truth)[1:], scales(weights)[1:], strict=True)
            coarse = torch.stack([pixel_loss(*three) for three in smaller]).sum()
            losses["pixel_coarse"] = config.weight * config.coarse * coarse
        return losses

    def _judged(
        self, pictures: Sequence[Tensor], batch: Prepared, identity: Tensor
    ) -> dict[str, Tensor]:
        """Identity at each scale that has a weight, and maps at the full side."""
        config = self.recipe.losses
        # Samples are drawn independently, so the first of them are as good as any.
        count = max(1, round(config.identity.share * len(batch.target)))
        wanted = identity[:count]
        terms = []
        for number, weight in enumerate(config.identity.weights):
            if weight <= 0 and (number or config.perceptual <= 0):
                continue
            seen: Seen = self.encoder(self.encoder.view(pictures[number][:count]))
            terms.append(
                weight * identity_loss(seen.vectors, wanted, margin=config.identity.margin)
            )
            if number == 0:
                full = seen
        losses = {"identity": torch.stack(terms).sum()} if terms else {}
        if config.identity.weights[0] > 0:
            cosine = (full.vectors.detach() * wanted).sum(1)
            self._told["cosine"] = cosine.mean()
        if config.perceptual > 0:
            losses["perceptual"] = config.perceptual * self._perceptual(full.maps, batch, count)
        return losses

    def _perceptual(self, maps: Sequence[Tensor], batch: Prepared, count: int) -> Tensor:
        with torch.no_grad():
            label = self.encoder(self.encoder.view(batch.label[:count]))
        untrue = self.recipe.losses.perceptual_untrue
        known = batch.weight[:count]
        inside = torch.where(known > 0, known, untrue)[:, None, None, None]
        # Outside the face the target is right whether or not there is a truth.
        weights = inside * self.face + (1 - self.face)
        return feature_distance(maps, label.maps, self.encoder.view(weights))

    def _adversarial(self, pictures: Sequence[Tensor], batch: Prepared) -> dict[str, Tensor]:
        config = self.recipe.losses.adversarial
        self.discriminators.requires_grad_(False)
        judged = self.discriminators(pictures)
        real = scales(batch.truth)
        losses = {"adversarial": generator_loss([x for x, _ in judged], config.weights)}
        if config.matching:
            with torch.no_grad():
                maps = self.discriminators[0](real[0])[1]
            losses["matching"] = config.matching * matching_loss(judged[0][1], maps)
        self.discriminators.requires_grad_(True)
        self._drawn = ([x.detach() for x in pictures], real)
        return losses

    def opponent_losses(self, step: int) -> Mapping[str, Tensor]:
        """Hinge loss of the discriminators on what ``losses`` has just drawn."""
        if self._drawn is None:
            return {}
        fake, real = self._drawn
        self._drawn = None
        weights = self.recipe.losses.adversarial.weights
        loss = discriminator_loss(
            [x for x, _ in self.discriminators(real)],
            [x for x, _ in self.discriminators(fake)],
            weights,
        )
        return {"discriminator": loss}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """PSNR to the truth, cosine to source and target, mask and change, on held-out samples."""
        source = self.triplets if self.held_out is None else self.held_out
        rows: dict[str, list[Tensor]] = {}
        size = min(8, self.recipe.data.held_out)
        for step in range(-(-self.recipe.data.held_out // size)):
            batch = self.prepared(source.draw(step, size, 1))
            identity = self.identity(batch)
            out: SwapOutput = model(batch.target, identity, batch.guide)
            result = blend(out.images[0], out.mask, batch.target).clamp(-1, 1)
            seen = self.encoder(self.encoder.view(result)).vectors
            before = self.encoder(self.encoder.view(batch.target)).vectors
            known = batch.weight > 0
            error = ((result - batch.truth) / 2).square().mean((1, 2, 3))
            found = {
                "psnr": -10 * torch.log10(error[known].clamp_min(1e-9)),
                "cosine": (seen * identity).sum(1),
                "cosine_untrue": (seen * identity).sum(1)[~known],
                "cosine_target_untrue": (seen * before).sum(1)[~known],
                "mask_mean": out.mask.mean((1, 2, 3)),
                "background_change": ((result - batch.target).abs() * (1 - self.face)).mean(
                    (1, 2, 3)
                ),
            }
            for name, values in found.items():
                rows.setdefault(name, []).append(values)
        joined = {name: torch.cat(values) for name, values in rows.items()}
        return {name: float(values.mean()) for name, values in joined.items() if len(values)}


def train(
    recipe: Path,
    *,
    data: Sequence[Path],
    output: Path,
    encoder: FrozenEncoder,
    held_out: Sequence[Path] = (),
    start: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Callable[[str, int, int], None] = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train a swap network of a recipe on triplets.

    Args:
        recipe: ``recipes/swap.yaml`` or another.
        data: folders of triplets.
        output: folder for log, checkpoints and final weights.
        encoder: frozen recogniser; its vectors are injected and judged.
        held_out: folders of triplets of other people, to validate on; ``data`` without.
        start: a finished run of the same network, at any side, whose weights come first.
        resume: go on from the last checkpoint in ``output``.
        workers: threads that make batches ahead.
        preparing: called with what is being decoded, how much of it is done, and in all.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export swap``.

    Raises:
        DataError: the triplets cannot be read, or are of test people.
    """
    settings = read_recipe(recipe, SwapRecipe)
    torch.manual_seed(settings.loop.seed)
    network = make_network(settings.network)
    if start is not None:
        before, weights = read_run(start, SwapRecipe)
        sized = before.network.model_copy(update={"image_size": settings.network.image_size})
        if sized != settings.network:
            raise ConfigError(f"{start}: its network is not the one of {recipe}")
        load_weights(network, weights, start)
    decoding = partial(preparing, "decode")
    opened = partial(
        open_triplets,
        guide=settings.data.size if settings.network.guided else None,
        shape=settings.network.shape,
    )
    mix = settings.data.mix
    taught = opened(data, mix=mix, augment=settings.data.augment, progress=decoding)
    if "test" in taught.splits:
        raise DataError("--data holds triplets of test people, whom nothing may learn from")
    task = SwapTask(
        settings,
        network,
        encoder,
        taught,
        opened(
            list(held_out) or data,
            mix=settings.data.held_out_mix or mix,
            augment=None,
            progress=decoding,
        ),
        device=best_device(),
        workers=workers,
    )
    model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    write_run(output, model, settings)
    if encoder.model_id and not rank():
        text = json.dumps({"model_id": encoder.model_id}) + "\n"
        write_atomically(output / ENCODER, text.encode(), overwrite=True)
    return output


def load_swap(run: Path) -> tuple[SwapRecipe, SwapNetwork]:
    """The network of a finished run, in evaluation mode.

    Raises:
        DataError: it is no finished run of a swap network.
    """
    recipe, weights = read_run(run, SwapRecipe)
    network = make_network(recipe.network)
    load_weights(network, weights, run)
    return recipe, network.eval()
