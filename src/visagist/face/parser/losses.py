"""Losses of the parser, over the pixels whose class is known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.face.parser.classes import CLASSES, IGNORE


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy over known pixels, each weighted by its class.

    Args:
        logits: (B, C, H, W) float.
        target: (B, H, W) int64 classes or ``IGNORE``.
        weights: (C,) float.

    Returns:
        Scalar; 0 where nothing is known, which the mean of no pixels would not be.
    """
    loss = F.cross_entropy(logits, target, weights, ignore_index=IGNORE, reduction="sum")
    known = target != IGNORE
    total = weights[target[known]].sum()
    return loss / total.clamp_min(1.0)


def dice_loss(logits: Tensor, target: Tensor, *, smooth: float = 1.0) -> Tensor:
    """One minus the mean soft Dice coefficient of the classes that the batch shows.

    Milletari et al. (V-Net, 2016), eq. 2, without squares, over the whole batch at once, so that a
    class of few pixels counts as much as the background.

    Args:
        logits: (B, C, H, W) float.
        target: (B, H, W) int64 classes or ``IGNORE``.
        smooth: pixels added to numerator and denominator.

    Returns:
        Scalar in 0..1.
    """
    known = target != IGNORE
    truth = target[known]
    share = torch.softmax(logits, 1)
    count = torch.bincount(truth, minlength=len(CLASSES)).to(share.dtype)
    right = share.gather(1, target.clamp_max(len(CLASSES) - 1)[:, None])[:, 0][known]
    both = torch.zeros_like(count).index_add(0, truth, right)
    given = (share * known[:, None]).sum((0, 2, 3))
    score = (2 * both + smooth) / (given + count + smooth)
    shown = count > 0
    return 1 - (score * shown).sum() / shown.sum().clamp_min(1)


def confusion(predicted: Tensor, target: Tensor) -> Tensor:
    """(C, C) int64 counts of known pixels, rows the truth, columns the prediction.

    Args:
        predicted: (B, H, W) int64 classes.
        target: (B, H, W) int64 classes or ``IGNORE``.
    """
    known = target != IGNORE
    n = len(CLASSES)
    return torch.bincount(target[known] * n + predicted[known], minlength=n * n).reshape(n, n)
