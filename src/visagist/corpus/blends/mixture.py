"""What each parent of a blend gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Mixture:
    """What each parent gives. Positions count the parents from 0.

    Attributes:
        shape: weight of each parent's shape; sums to 1.
        texture: weight of each parent's skin; sums to 1.
        host: gives hair, background and light.
        detail: gives pores and wrinkles.
        eyes: gives the openings of the eyes.
        brows: gives the brows.
        mouth: gives lips, teeth and what is between them.
    """

    shape: tuple[float, ...]
    texture: tuple[float, ...]
    host: int = 0
    detail: int = 0
    eyes: int = 0
    brows: int = 0
    mouth: int = 0


def draw_mixture(
    random: np.random.Generator, count: int, *, host_share: float, spread: float
) -> Mixture:
    """Weights around the configured shares; eyes, brows and mouth from as many people as can be.

    Args:
        random: draws it.
        count: of parents; the first is the host.
        host_share: mean weight of the host; the others share the rest.
        spread: weights are drawn so far around their means.
    """

    def weights() -> tuple[float, ...]:
        mean = np.full(count, (1 - host_share) / (count - 1))
        mean[0] = host_share
        drawn = np.clip(mean + spread * random.uniform(-1, 1, count), 0, None)
        drawn /= max(drawn.sum(), 1e-9)
        head = [round(float(w), 4) for w in drawn[:-1]]
        return (*head, round(1 - sum(head), 4))

    shape, texture = weights(), weights()
    # the host already gives all around the face, so the others come first
    order = [*(1 + int(k) for k in random.permutation(count - 1)), 0]
    features = [order[k % count] for k in range(3)]
    eyes, brows, mouth = (features[int(k)] for k in random.permutation(3))
    return Mixture(
        shape=shape,
        texture=texture,
        host=0,
        detail=int(random.integers(count)),
        eyes=eyes,
        brows=brows,
        mouth=mouth,
    )
