"""Templates of people who were drawn from a distribution."""

from __future__ import annotations

import numpy as np


def made(people: int, pictures: int, *, seed: int = 0, alike: float = 1.0):
    """Unit vectors around one centre a person; a few directions in which people are alike."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 32))
    centres[:, :3] += alike * rng.normal(size=(people, 3))
    vectors = np.repeat(centres, pictures, 0) + 0.5 * rng.normal(size=(people * pictures, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"p{i:04d}" for i in range(people) for _ in range(pictures)]
