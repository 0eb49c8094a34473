"""How the shapes of people's faces differ, learned from the meshes of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.posing import posed_like
from visagist.errors import DataError
from visagist.face.topology import LIPS_INNER, N_POINTS, canonical_points, mirror_index

# Upper and lower points of inner lips and lids, corners left out; position 5 is a lips' corner.
_LIPS = [(LIPS_INNER[(5 - k) % len(LIPS_INNER)], LIPS_INNER[5 + k]) for k in range(1, 10)]
_RIGHT_LIDS = [(173, 155), (157, 154), (158, 153), (159, 145), (160, 144), (161, 163), (246, 7)]
_LEFT_LIDS = [(398, 382), (384, 381), (385, 380), (386, 374), (387, 373), (388, 390), (466, 249)]
_MEETING = [list(pair) for pair in (*_LIPS, *_RIGHT_LIDS, *_LEFT_LIDS)]
_LEAST = 8  # people; fewer say nothing about how people differ


@dataclass(frozen=True, slots=True)
class ShapeSpace:
    """Principal directions of symmetric face shape, in the scale of the 256x256 canonical crop.

    Attributes:
        directions: (K, 478, 3) each of one standard deviation among the people.
    """

    directions: NDArray[np.float32]

    def draw(self, random: np.random.Generator, strength: float) -> NDArray[np.float32]:
        """(478, 3) a random difference between a face and the mean face, times ``strength``."""
        weights = np.clip(random.standard_normal(len(self.directions)), -2, 2)
        return np.tensordot(strength * weights, self.directions, 1).astype(np.float32)


def learn_shape_space(meshes: Sequence[NDArray[np.floating]], count: int = 24) -> ShapeSpace:
    """Principal components of meshes with closed mouths, each turned to the front first.

    Expression is no identity: meshes whose lips are apart are left out, and neither lips nor
    lids part in what is learned. Only the symmetric part counts, since pose leaves an uneven rest.

    Args:
        meshes: (478, 3) each, one a person.
        count: directions kept.

    Raises:
        DataError: too few people with closed mouths.
    """
    canonical = canonical_points()
    pairs = mirror_index()
    flip = np.array([-1.0, 1.0, 1.0])
    middle = np.array([128.0, 0.0, 0.0])
    rows = []
    for mesh in meshes:
        gap = np.hypot(*(mesh[13, :2] - mesh[14, :2])) / np.hypot(*(mesh[61, :2] - mesh[291, :2]))
        if gap > 0.06:
            continue
        front = posed_like(mesh, canonical) - middle
        rows.append((front + front[pairs] * flip) / 2)
    if len(rows) < _LEAST:
        raise DataError(
            f"{len(rows)} people with closed mouths; {_LEAST} are needed to learn how faces differ"
        )
    data = np.stack(rows).reshape(len(rows), -1)
    data -= data.mean(0)
    _, values, axes = np.linalg.svd(data, full_matrices=False)
    kept = min(count, len(rows) - 1)
    scaled = axes[:kept] * (values[:kept, None] / np.sqrt(len(rows) - 1))
    directions = scaled.reshape(kept, N_POINTS, 3)
    # lips and lids move as one: what differs between people is their line, not their gap
    for pair in _MEETING:
        directions[:, pair] = directions[:, pair].mean(1, keepdims=True)
    return ShapeSpace(directions.astype(np.float32))
