"""How the shapes of people's faces differ, learned from the meshes of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.expression import UNITS, units
from visagist.corpus.blends.posing import posed_like
from visagist.errors import DataError
from visagist.face.topology import LIPS_INNER, N_POINTS, canonical_points, mirror_index

# Upper and lower points of inner lips and lids, corners left out; position 5 is a lips' corner.
_LIPS = [(LIPS_INNER[(5 - k) % len(LIPS_INNER)], LIPS_INNER[5 + k]) for k in range(1, 10)]
_RIGHT_LIDS = [(173, 155), (157, 154), (158, 153), (159, 145), (160, 144), (161, 163), (246, 7)]
_LEFT_LIDS = [(398, 382), (384, 381), (385, 380), (386, 374), (387, 373), (388, 390), (466, 249)]
_MEETING = [list(pair) for pair in (*_LIPS, *_RIGHT_LIDS, *_LEFT_LIDS)]
LEAST = 8
"""People; fewer say nothing about how people differ."""
_FARTHEST = 2.2  # standard deviations from the mean face in any direction
_RIDGE = 0.05
_FLIP = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class ShapeSpace:
    """Principal directions of symmetric face shape, in the scale of the 256x256 canonical crop.

    Attributes:
        mean: (478, 3) the mean face without expression.
        directions: (K, 478, 3) each of one standard deviation among the people.
        readers: (K, 1434) give the coordinates of a shape less the mean.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float32]
    readers: NDArray[np.float64]

    def coordinates(self, mesh: NDArray[np.floating]) -> NDArray[np.float64]:
        """(K,) where a face lies, in standard deviations."""
        return np.asarray(self.readers @ (_symmetric(mesh) - self.mean).ravel())

    def vary(
        self,
        mesh: NDArray[np.floating],
        random: np.random.Generator,
        *,
        inherit: float,
        strength: float,
    ) -> NDArray[np.float32]:
        """(478, 3) what turns a face into one that is only partly like it.

        Args:
            mesh: (478, 3) the mean of the parents.
            random: draws the new face.
            inherit: share of the way from the mean face to ``mesh`` that is kept, 0..1.
            strength: standard deviations of what is drawn.
        """
        here = self.coordinates(mesh)
        kept = inherit * here
        there = kept + strength * random.standard_normal(len(here))
        # whoever is further from the mean already may stay there
        limit = np.maximum(np.abs(kept), _FARTHEST)
        change = np.clip(there, -limit, limit) - here
        return np.tensordot(change, self.directions, 1).astype(np.float32)


def learn_shape_space(meshes: Sequence[NDArray[np.floating]], count: int = 24) -> ShapeSpace:
    """Principal components of meshes, each turned to the front first.

    Expression is no identity: what the bundled expression units explain is taken out, and neither
    lips nor lids part in what is learned. Only the symmetric part counts, since pose leaves an
    uneven rest.

    Args:
        meshes: (478, 3) each, one a person.
        count: directions kept.

    Raises:
        DataError: too few people.
    """
    if len(meshes) < LEAST:
        raise DataError(f"{len(meshes)} people; {LEAST} are needed to learn how faces differ")
    data = np.stack([_symmetric(mesh) for mesh in meshes])
    moves = np.stack([units()[name].astype(np.float64) for name in UNITS])
    moves = ((moves + moves[:, mirror_index()] * _FLIP) / 2).reshape(len(UNITS), -1)
    mean = data.mean(0)
    flat = (data - mean).reshape(len(data), -1)
    # ridge: what differs hardly at all between expressions stays with the person
    gram = moves @ moves.T
    ridge = np.linalg.inv(gram + _RIDGE * np.trace(gram) / len(moves) * np.eye(len(moves)))
    without = np.eye(flat.shape[1]) - moves.T @ ridge @ moves
    flat = flat @ without
    _, values, axes = np.linalg.svd(flat, full_matrices=False)
    kept = min(count, len(data) - 1)
    deviation = np.maximum(values[:kept, None] / np.sqrt(len(data) - 1), 1e-6)
    directions = (axes[:kept] * deviation).reshape(kept, N_POINTS, 3)
    # lips and lids move as one: what differs between people is their line, not their gap
    for pair in _MEETING:
        directions[:, pair] = directions[:, pair].mean(1, keepdims=True)
    return ShapeSpace(mean, directions.astype(np.float32), (axes[:kept] / deviation) @ without)


def _symmetric(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """(478, 3) a mesh turned to the front, the mean of it and its mirror image."""
    middle = np.array([128.0, 0.0, 0.0])
    front = posed_like(mesh, canonical_points()) - middle
    mirrored = front[mirror_index()] * _FLIP
    return np.asarray((front + mirrored) / 2)
