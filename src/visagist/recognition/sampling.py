"""Which faces a batch of the distillation holds: people who look alike, skins of every tone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.corpus import Corpus
from visagist.corpus.stats import skin_tones
from visagist.recognition.config import DistillConfig

__all__ = ["Sampler", "nearest", "tone_shares"]

_BLOCK = 1024


class Sampler:
    """Draws the faces of a batch.

    Strangers are mistaken for people whom they resemble, and random faces hardly ever resemble each
    other. So a batch may be made of small groups: a face and some of those nearest to it. What is
    rare in the corpus may be drawn more often by its weight.

    Args:
        config: batch, group, near and even_tones.
        targets: (N, d) the teacher's vectors, of unit length.
        weights: (N,) chance of each face to be drawn first; ``None``: all alike.
    """

    def __init__(
        self, config: DistillConfig, targets: Tensor, weights: NDArray[np.float64] | None = None
    ) -> None:
        self.config, self.count, self.device = config, len(targets), targets.device
        self.weights = None
        if weights is not None:
            self.weights = torch.from_numpy(weights).to(self.device)
        self.near = None
        if config.group > 1:
            self.near = nearest(targets, min(config.near, self.count - 1))

    def draw(self, generator: torch.Generator) -> Tensor:
        """(batch,) indices; the members of a group stand together."""
        groups = self.config.batch // self.config.group
        if self.weights is None:
            first = torch.randint(self.count, (groups,), generator=generator, device=self.device)
        else:
            first = torch.multinomial(self.weights, groups, replacement=True, generator=generator)
        if self.near is None:
            return first
        members = (groups, self.config.group - 1)
        which = torch.randint(self.near.shape[1], members, generator=generator, device=self.device)
        return torch.cat([first[:, None], self.near[first].gather(1, which)], 1).flatten()


def nearest(vectors: Tensor, count: int) -> Tensor:
    """(N, count) for each of (N, d) unit vectors the others of the largest cosine."""
    vectors = F.normalize(vectors)
    out = []
    for start in range(0, len(vectors), _BLOCK):
        part = vectors[start : start + _BLOCK] @ vectors.T
        rows = torch.arange(len(part), device=part.device)
        part[rows, rows + start] = -2.0  # not itself
        out.append(part.topk(count, dim=1).indices)
    return torch.cat(out)


def tone_shares(
    corpora: Sequence[Path], keys: Sequence[str], even: float
) -> NDArray[np.float64] | None:
    """(N,) weights that draw a share of the faces evenly from the classes of skin tone.

    Args:
        corpora: where the faces come from.
        keys: of the faces.
        even: that share; the others are drawn as the corpora have them.

    Returns:
        Weights whose sum is one; ``None`` for a share of 0. A picture without colour shows no tone
        and counts among the others alone.
    """
    if not even:
        return None
    tones: dict[str, str] = {}
    for path in corpora:
        table = Corpus.open(path).table(("key", "tone", "skin_a", "skin_b"))
        figures = {
            name: table.column(name).to_numpy().astype(np.float64)
            for name in ("tone", "skin_a", "skin_b")
        }
        tones.update(zip(table.column("key").to_pylist(), skin_tones(figures), strict=True))
    found = np.array([tones[key] for key in keys], object)
    weights = np.full(len(keys), (1 - even) / len(keys))
    classes = [name for name in set(found) if name != "without colour"]
    for name in classes:
        of_class = found == name
        weights[of_class] += even / len(classes) / of_class.sum()
    total: np.float64 = weights.sum()
    return np.asarray(weights / total, np.float64)
