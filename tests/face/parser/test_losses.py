from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from visagist.face.parser.classes import CLASSES, IGNORE
from visagist.face.parser.losses import confusion, cross_entropy, dice_loss

N = len(CLASSES)


def certain(target: torch.Tensor, logit: float = 20.0) -> torch.Tensor:
    """Logits of a network that knows ``target``."""
    known = target.clamp_max(N - 1)
    return F.one_hot(known, N).permute(0, 3, 1, 2).float() * logit


@pytest.fixture
def target() -> torch.Tensor:
    return torch.randint(0, N, (2, 8, 8), generator=torch.Generator().manual_seed(1))


def test_cross_entropy_is_the_weighted_mean_over_known_pixels(target):
    logits = torch.randn((2, N, 8, 8), generator=torch.Generator().manual_seed(2))
    weights = torch.linspace(0.5, 2.0, N)
    wanted = F.cross_entropy(logits, target, weights)
    assert cross_entropy(logits, target, weights).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_what_is_unknown_counts_in_neither_loss(target):
    logits = certain(target)
    holes = target.clone()
    holes[:, :4] = IGNORE
    logits[:, :, :4] = -logits[:, :, :4]  # wrong where nobody knows
    assert cross_entropy(logits, holes, torch.ones(N)).item() < 1e-3
    assert dice_loss(logits, holes).item() < 1e-2


def test_nothing_known_is_no_loss_rather_than_no_number():
    target = torch.full((1, 4, 4), IGNORE)
    logits = torch.zeros(1, N, 4, 4, requires_grad=True)
    loss = cross_entropy(logits, target, torch.ones(N)) + dice_loss(logits, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_dice_counts_a_small_class_like_a_large_one():
    target = torch.zeros((1, 32, 32), dtype=torch.int64)
    target[0, :3, :3] = 2
    missed = certain(torch.zeros_like(target))  # all background: 9 pixels of 1024 are wrong
    right = dice_loss(certain(target), target).item()
    assert right < 0.01
    assert dice_loss(missed, target).item() > 0.4


def test_confusion_has_the_truth_in_rows():
    target = torch.tensor([[[0, 1, 1, IGNORE]]])
    predicted = torch.tensor([[[0, 1, 6, 6]]])
    counts = confusion(predicted, target)
    assert counts.sum() == 3
    assert counts[0, 0] == counts[1, 1] == counts[1, 6] == 1
