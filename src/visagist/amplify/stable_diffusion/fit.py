"""Fitting styles: the noise loss under M_changed, for LoRA and the projection (FGMM).

All styles are learned by one model, as in the paper. A step shows one look: the made-up photo with
the identity of its bare one and the style of another look of the same style (of itself where there
is no other), so that the style's tokens cannot carry who wears it. Some steps show the bare photo
without a condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visagist.amplify.backend import Look, Progress
from visagist.amplify.masks import changed_mask, composite, makeup_masks
from visagist.amplify.stable_diffusion import ddim
from visagist.amplify.stable_diffusion.adapter import Adapter
from visagist.amplify.stable_diffusion.conditioning import (
    encode_pictures,
    mask_tensor,
    picture_tensor,
)
from visagist.amplify.stable_diffusion.config import DiffusionSettings
from visagist.amplify.stable_diffusion.latents import latent_masks, to_latents
from visagist.amplify.stable_diffusion.weights import Networks
from visagist.face.align import CROP_SIZE
from visagist.face.pose import pose
from visagist.training.loop import LoopConfig, train


@dataclass(frozen=True, slots=True)
class Lessons:
    """Looks as the networks see them; row i belongs to look i.

    Attributes:
        bare: (n, 4, h, w) latents of the photos before.
        made: of the photos after.
        mask: (n, 1, h, w) ``M_changed`` times how far pixels could be matched.
        identity: (n, D) vectors of the photos before.
        makeup: (n, D) vectors of the makeup alone.
        fellows: for each look, the looks whose makeup stands for its own.
        front: for each style, the look seen most from the front.
    """

    bare: Tensor
    made: Tensor
    mask: Tensor
    identity: Tensor
    makeup: Tensor
    fellows: list[list[int]]
    front: dict[str, int]


def prepare(
    networks: Networks, styles: Mapping[str, Sequence[Look]], settings: DiffusionSettings
) -> Lessons:
    """Everything about the looks that stays the same during a fit."""
    looks = [look for of_style in styles.values() for look in of_style]
    names = [name for name, of_style in styles.items() for _ in of_style]
    rows: dict[str, list[Tensor]] = {k: [] for k in ("bare", "made", "mask", "identity", "makeup")}
    for look in looks:
        changed = changed_mask(makeup_masks(look.mesh, CROP_SIZE))
        # What could not be matched is not makeup; the encoder must not see it as such.
        matched = composite(
            look.after.astype(np.float32), look.before.astype(np.float32), look.valid
        )
        after = np.rint(matched).clip(0, 255).astype(np.uint8)
        before_, after_ = (picture_tensor([p], networks.device) for p in (look.before, after))
        small = changed_mask(latent_masks(networks, look.mesh, settings.side))
        valid = F.interpolate(
            mask_tensor([look.valid], networks.device),
            size=small.shape,
            mode="bilinear",
            antialias=True,
        )
        rows["bare"].append(to_latents(networks, before_, settings.side))
        rows["made"].append(to_latents(networks, after_, settings.side))
        rows["mask"].append(mask_tensor([small], networks.device) * valid)
        rows["identity"].append(encode_pictures(networks.encoder, before_))
        rows["makeup"].append(
            encode_pictures(networks.encoder, after_, mask_tensor([changed], networks.device))
        )
    fellows = [
        [j for j, other in enumerate(names) if other == name and j != i] or [i]
        for i, name in enumerate(names)
    ]
    turned = [_turned(look) for look in looks]
    front = {
        style: min((i for i, name in enumerate(names) if name == style), key=turned.__getitem__)
        for style in styles
    }
    return Lessons(**{k: torch.cat(v) for k, v in rows.items()}, fellows=fellows, front=front)


def _turned(look: Look) -> float:
    """How far a face is from looking straight into the camera, in degrees."""
    angles = pose(look.mesh)
    return abs(angles.yaw) + abs(angles.pitch)


def masked_loss(noise: Tensor, predicted: Tensor, mask: Tensor) -> Tensor:
    """``sum ((e - e_theta) M)^2`` over the mask's own size, so that small faces count alike.

    Args:
        noise: (B, C, h, w) that was added.
        predicted: the same shape.
        mask: (B, 1, h, w) ``M_changed``.
    """
    error = ((noise - predicted) * mask).square().sum()
    return error / (noise.shape[1] * mask.square().sum()).clamp_min(1e-6)


class FitTask:
    """What the training loop needs: the adapter, and the loss of a step.

    Args:
        networks: with the adapter's LoRA in their UNet.
        adapter: to be trained.
        lessons: of all looks.
        settings: of the fit.
        seed: of the order in which looks are shown.
    """

    def __init__(
        self,
        networks: Networks,
        adapter: Adapter,
        lessons: Lessons,
        settings: DiffusionSettings,
        *,
        seed: int = 0,
    ) -> None:
        self.model: nn.Module = adapter
        self.networks, self.adapter, self.lessons = networks, adapter, lessons
        self.settings, self.seed = settings, seed
        # Times that rendering visits; noise beyond them is never seen again.
        self.latest = max(ddim.times(len(networks.kept), settings.depth, settings.steps))

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """The masked loss of one look at one time; ``model`` is the adapter itself."""
        lessons, projection = self.lessons, self.adapter.projection
        count = len(lessons.bare)
        order = np.random.default_rng([self.seed, step // count]).permutation(count)
        row = int(order[step % count])
        draw = torch.rand(3, generator=generator, device=generator.device).tolist()
        if draw[0] < self.settings.bare_share:
            latent, condition = lessons.bare[row, None], projection.empty(1)
        else:
            fellows = lessons.fellows[row]
            wearer = fellows[min(int(draw[1] * len(fellows)), len(fellows) - 1)]
            latent = lessons.made[row, None]
            condition = projection.condition(
                lessons.identity[row, None], lessons.makeup[wearer, None]
            )
        time = min(int(draw[2] * (self.latest + 1)), self.latest)
        noise = torch.randn(latent.shape, generator=generator, device=generator.device)
        kept = self.networks.kept[time].float()
        noisy = kept.sqrt() * latent + (1 - kept).sqrt() * noise
        predicted = self.networks.unet(noisy, time, encoder_hidden_states=condition).sample
        return {"noise": masked_loss(noise, predicted.float(), lessons.mask[row, None])}

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Nothing is held out: with five looks each is needed."""
        return {}


def fit_adapter(
    networks: Networks,
    styles: Mapping[str, Sequence[Look]],
    settings: DiffusionSettings,
    work: Path,
    *,
    seed: int,
    progress: Progress,
) -> tuple[Adapter, dict[str, Tensor]]:
    """Train LoRA and projection on the looks of all styles.

    Args:
        networks: without an adapter.
        styles: looks by the name of their style.
        settings: of the fit.
        work: folder for checkpoints; a fit that was interrupted goes on from there.
        seed: of whatever is drawn.
        progress: called with steps done and in all.

    Returns:
        The adapter, and for each style the vector (D,) of its makeup alone on its frontal look.
    """
    lessons = prepare(networks, styles, settings)
    adapter = Adapter(networks, settings, seed=seed)
    if settings.checkpointing:
        networks.unet.enable_gradient_checkpointing()
    task = FitTask(networks, adapter, lessons, settings, seed=seed)
    steps = settings.epochs * len(lessons.bare)
    loop = LoopConfig(
        seed=seed,
        steps=steps,
        lr=settings.lr,
        lr_floor=1.0,
        warmup=0,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.999),
        clip=settings.clip,
        log_every=max(1, steps // 200),
        validate_every=steps,
        checkpoint_every=settings.checkpoint_every,
        bf16=networks.device.type == "cuda",
    )

    def report(done: int, numbers: Mapping[str, float]) -> None:
        progress(done, steps)

    averaged = train(task, loop, work, resume=True, progress=report)
    adapter.load_state_dict(averaged.state_dict())
    return adapter, {name: lessons.makeup[row].cpu() for name, row in lessons.front.items()}
