"""Losses and errors of the mesh network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.face import topology


def point_weights(eye_weight: float) -> Tensor:
    """(478,) weights with mean 1; eyes, irises, lips and brows count ``eye_weight`` times."""
    weights = torch.ones(topology.N_POINTS)
    groups = (
        topology.LIPS_OUTER, topology.LIPS_INNER, topology.LEFT_EYE, topology.RIGHT_EYE,
        topology.LEFT_IRIS, topology.RIGHT_IRIS, *topology.LEFT_BROW, *topology.RIGHT_BROW,
    )  # fmt: skip
    for group in groups:
        weights[list(group)] = eye_weight
    return weights / weights.mean()


def inter_ocular(mesh: Tensor) -> Tensor:
    """(B,) distance between the outer eye corners' mid-eye points, in the mesh's units.

    The eye centre is the mean of inner and outer corner, so a closed eye changes nothing.
    """
    right = mesh[:, [topology.RIGHT_EYE_OUTER, topology.RIGHT_EYE_INNER], :2].mean(1)
    left = mesh[:, [topology.LEFT_EYE_OUTER, topology.LEFT_EYE_INNER], :2].mean(1)
    distance: Tensor = torch.linalg.vector_norm(left - right, dim=1)
    return distance


def relative_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """(B, 478) point errors in the plane, in inter-ocular distances of the target."""
    errors: Tensor = torch.linalg.vector_norm(predicted[..., :2] - target[..., :2], dim=-1)
    return errors / inter_ocular(target)[:, None].clamp_min(1e-6)


def wing_loss(
    predicted: Tensor, target: Tensor, weights: Tensor, *, w: float = 0.04, eps: float = 0.01
) -> Tensor:
    """Wing loss (Feng et al., CVPR 2018, eq. 5) on errors in inter-ocular distances; (B,).

    Logarithmic near zero, so that small errors keep pulling; depth counts a quarter, since it is
    only used to tell the near from the far side.
    """
    scale = inter_ocular(target)[:, None, None].clamp_min(1e-6)
    error = ((predicted - target) / scale).abs()
    offset = w - w * torch.log(torch.tensor(1 + w / eps, device=error.device))
    loss = torch.where(error < w, w * torch.log1p(error / eps), error - offset)
    axes = torch.tensor([1.0, 1.0, 0.25], device=error.device)
    return (loss * axes * weights[:, None]).mean((1, 2))


def confidence_target(errors: Tensor, good_error: float) -> Tensor:
    """(B,) 1 for a perfect mesh, falling linearly to 0 at a mean error of ``good_error``."""
    return (1 - errors.mean(1) / good_error).clamp(0, 1)


def confidence_loss(logit: Tensor, target: Tensor) -> Tensor:
    """(B,) cross-entropy against the soft target; no gradient flows into the target."""
    return F.binary_cross_entropy_with_logits(logit, target.detach(), reduction="none")
