"""Losses of the swap networks. Images in [-1, 1]; scales finest first.

Sources: Yu et al. 2022 (arXiv 2204.08339) for the terms and their weights; every mean here is over
all samples of the batch, so that a term's strength depends neither on the size of the batch nor on
how many samples it concerns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.swap.config import MaskConfig

__all__ = [
    "discriminator_loss",
    "feature_distance",
    "generator_loss",
    "identity_loss",
    "mask_losses",
    "matching_loss",
    "pixel_loss",
    "pixel_weights",
]


def pixel_weights(
    truth: Tensor,
    face: Tensor,
    *,
    background: float,
    share: Tensor | None = None,
    guide: float = 0.0,
) -> Tensor:
    """(n, 1, s, s): the truth's weight where there is one, else what is known without one.

    Args:
        truth: (n,) weight of each sample's truth, 0 where there is none.
        face: (1, 1, s, s) of :func:`face_map`.
        background: weight outside the face of samples without truth.
        share: (n, 1, s, s) of the source in their guide.
        guide: weight where the guide shows the source.
    """
    known = truth[:, None, None, None]
    without = background * (1 - face)
    if share is not None:
        without = torch.maximum(without, guide * share)
    return torch.where(known > 0, known, without)


def pixel_loss(image: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """Mean over all samples and pixels of weight times squared error."""
    return (weights * (image - label).square()).mean()


def identity_loss(vectors: Tensor, wanted: Tensor, *, margin: float = 0.02) -> Tensor:
    """Mean over all samples of relu(1 - cos - margin); both (n, d) of unit length."""
    cosine = (vectors * wanted).sum(1)
    return F.relu(1 - cosine - margin).mean()


def feature_distance(maps: Sequence[Tensor], labels: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Weighted L1 between maps in units of the labels' own mean size, averaged over the layers.

    Args:
        maps: (n, c, h, w) of each layer.
        labels: the same shapes; no gradient flows into them.
        weights: (n, 1, s, s), resampled to each layer.
    """
    total = weights.new_zeros(())
    for ours, theirs in zip(maps, labels, strict=True):
        at = F.interpolate(weights, ours.shape[2:], mode="area")
        label = theirs.detach()
        total = total + (at * (ours - label).abs()).mean() / label.abs().mean().clamp_min(1e-6)
    return total / len(maps)


def generator_loss(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """-E[D(G)] at each scale: its gradient does not vanish past the margin."""
    return torch.stack([-w * x.mean() for x, w in zip(logits, weights, strict=True)]).sum()


def discriminator_loss(
    real: Sequence[Tensor], fake: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """Half of E[relu(1 - D(real))] + E[relu(1 + D(fake))] at each scale."""
    terms = [
        w * 0.5 * (F.relu(1 - r).mean() + F.relu(1 + f).mean())
        for r, f, w in zip(real, fake, weights, strict=True)
    ]
    return torch.stack(terms).sum()


def matching_loss(fake: Tensor, real: Tensor) -> Tensor:
    """L1 between a discriminator's deep maps (weak feature matching, Chen et al. 2020)."""
    return (fake - real.detach()).abs().mean()


def mask_losses(mask: Tensor, core: Tensor, config: MaskConfig) -> dict[str, Tensor]:
    """Guards of the blend mask.

    Args:
        mask: (n, 1, s, s), 0 to 1.
        core: (1, 1, s, s), 1 in the middle of the face.
        config: limits and weights.

    Returns:
        area: squared excess of the mask's mean over its limits. core: what is not drawn anew in the
        middle of the face, against collapse to copying. smooth: total variation.
    """
    area = mask.mean((1, 2, 3))
    excess = F.relu(config.least - area) + F.relu(area - config.most)
    across = (mask[..., 1:] - mask[..., :-1]).abs().mean()
    down = (mask[..., 1:, :] - mask[..., :-1, :]).abs().mean()
    return {
        "mask_area": config.area * excess.square().mean(),
        "mask_core": config.core * (core * (1 - mask)).mean() / core.mean(),
        "mask_smooth": config.smooth * (across + down),
    }
