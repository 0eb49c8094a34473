"""Formulas of the three trainings (EPG, sections 3, 5 and 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.training.parallel import gather_over_processes, rank


def info_nce(query: Tensor, target: Tensor, temperature: float) -> Tensor:
    """InfoNCE on unit vectors: each query is to find its own target among those of all processes.

    Args:
        query: (B, D), receives gradients.
        target: (B, D); row i belongs to query i. Gradients stop here.
        temperature: divides the cosines.

    Returns:
        Mean over the B queries. With perfect alignment and orthogonal targets:
        ln(1 + (B - 1) exp(-1 / temperature)).
    """
    query = F.normalize(query.float(), dim=1)
    target = gather_over_processes(F.normalize(target.detach().float(), dim=1))
    own = torch.arange(len(query), device=query.device) + rank() * len(query)
    return F.cross_entropy(query @ target.T / temperature, own)


def contrastive_loss(
    online: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], temperature: float
) -> Tensor:
    """NCE(h(y1), h'(y2)) + NCE(h(y2), h'(y1)): two views, an online net and its average."""
    return info_nce(online[0], teacher[1], temperature) + info_nce(
        online[1], teacher[0], temperature
    )


def squared_error(predicted: Tensor, clean: Tensor, weight: Tensor) -> Tensor:
    """Mean over the batch of weight * mean squared error.

    Args:
        predicted: (B, 3, S, S).
        clean: (B, 3, S, S).
        weight: (B,).
    """
    error = (predicted.float() - clean.float()).square().flatten(1).mean(1)
    return (weight.float() * error).mean()


def pseudo_huber(predicted: Tensor, target: Tensor, weight: Tensor, *, c: float) -> Tensor:
    """Mean over the batch of weight * S / sqrt(sg(S) + c^2), S the sum of squares of a picture.

    As the norm below carries no gradient, the gradient is 2 (predicted - target) over it: twice
    that of sqrt(S + c^2).

    Args:
        predicted: (B, 3, S, S).
        target: (B, 3, S, S); gradients stop here.
        weight: (B,).
        c: where the loss turns from quadratic to linear, in units of the root of S.
    """
    total = (predicted.float() - target.detach().float()).square().flatten(1).sum(1)
    # at S = 0 and c = 0 the quotient is 0/0; its limit is 0
    norm = (total.detach() + c * c).sqrt().clamp_min(1e-12)
    return (weight.float() * total / norm).mean()
