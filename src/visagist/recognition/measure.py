"""What a training with unlabelled faces watches: embeddings, how sure of strangers, pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.recognition.data import Faces
from visagist.recognition.rates import tar_at_far
from visagist.training.augmentation import AugmentConfig

Vectors = NDArray[np.float32]
_EMBEDDED = 128
"""Faces that are embedded at a time."""


@torch.no_grad()
def embed(
    network: nn.Module,
    faces: Faces,
    index: NDArray[np.int64],
    device: torch.device,
    augmentation: AugmentConfig | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """(n, d) embeddings of faces, disturbed where asked for; the network is not changed."""
    generator = torch.Generator(device).manual_seed(seed)
    was = network.training
    network.eval()
    rows = torch.from_numpy(index).to(device)
    found = []
    for part in torch.split(rows, _EMBEDDED):
        views = faces.views(part, generator, augmentation)
        found.append(network(views.contiguous(memory_format=torch.channels_last)).float())
        progress(min(len(found) * _EMBEDDED, len(index)), len(index))
    network.train(was)
    return torch.cat(found)


@torch.no_grad()
def nearest_centre(vectors: Tensor, centres: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine to the nearest centre, whose it is, and the softmax' largest probability.

    Args:
        vectors: (n, d) embeddings.
        centres: (c, d).
        scale: of the softmax.

    Returns:
        Three times (n,).
    """
    unit = torch.nn.functional.normalize
    found = []
    for part in torch.split(vectors, 1024):
        cosines = unit(part) @ unit(centres).T
        best, which = cosines.max(1)
        p = torch.exp(scale * best - torch.logsumexp(scale * cosines, 1))
        found.append((best, which, p))
    best, which, p = (torch.cat(column) for column in zip(*found, strict=True))
    return best, which, p


def quantiles(name: str, p: Tensor) -> dict[str, float]:
    """Mean and four quantiles of probabilities as numbers of a log line."""
    numbers = {f"{name}_p": float(p.mean())}
    for q in (0.1, 0.5, 0.9, 0.99):
        numbers[f"{name}_p{round(100 * q)}"] = float(p.quantile(q))
    return numbers


def pair_rates(vectors: Vectors, names: NDArray[np.str_]) -> dict[str, float]:
    """TAR at the FARs that all pairs of faces can show; ``names`` is who is on each."""
    upper = np.triu(np.ones((len(names), len(names)), bool), 1)
    scores, same = vectors @ vectors.T, names[:, None] == names[None]
    genuine, impostor = scores[upper & same], scores[upper & ~same]
    if not len(genuine) or not len(impostor):
        return {}
    rates = {f"tar_far_1e-{n}": tar_at_far(genuine, impostor, 10.0**-n) for n in (2, 3, 4, 5)}
    return {name: rate for name, rate in rates.items() if rate is not None}


def auc(known: Vectors, unknown: Vectors) -> float:
    """Chance that a known face scores higher than an unknown one; ties count half."""
    both = np.concatenate([known, unknown])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = len(known), len(unknown)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
