"""Where the 478 mesh points lie on the base mesh: fixed once, the same for every head.

The 468 points of the skin are stored as three vertices of the base mesh and barycentric weights, so
they move with shape and expression like the skin itself. :mod:`visagist.corpus.heads.fitting` made
the file. The iris points are computed from the eyeballs and the gaze.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from visagist.face.topology import N_POINTS, N_SKIN_POINTS

FILE = "correspondence.npz"
# The iris on MakeHuman's eye: where the texture's limbus lies on the mesh, in eyeball radii.
_IRIS_RADIUS, _IRIS_DEPTH = 0.387, 0.893
# Points 469..472 and 474..477 around the iris: towards +x, up, towards -x, down.
_AROUND = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]], np.float64) * _IRIS_RADIUS


@dataclass(frozen=True, slots=True)
class Correspondence:
    """The skin points on the base mesh.

    Attributes:
        corners: (468, 3) int32 vertices of the base mesh.
        weights: (468, 3) float32 barycentric weights; they add up to 1.
    """

    corners: NDArray[np.int32]
    weights: NDArray[np.float32]

    def apply(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """The (468, 3) points on a base mesh of (B, 3) vertices."""
        return np.asarray(np.einsum("pk,pkx->px", self.weights, vertices[self.corners]))


@cache
def correspondence() -> Correspondence:
    """The bundled correspondence; read once per process."""
    with resources.files(__package__).joinpath(FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return Correspondence(data["corners"].astype(np.int32), data["weights"])


def mesh_points(
    vertices: NDArray[np.float32],
    eye_centres: NDArray[np.float32],
    eye_radius: float,
    turn: NDArray[np.float32],
) -> NDArray[np.float32]:
    """All 478 points of a head.

    Args:
        vertices: (B, 3) of the base mesh, shaped and with its expression.
        eye_centres: (2, 3) of the right and the left eyeball.
        eye_radius: of both.
        turn: (3, 3) rotation of the eyes from looking straight ahead.

    Returns:
        (478, 3) float32 in the same space.
    """
    points = np.empty((N_POINTS, 3), np.float32)
    points[:N_SKIN_POINTS] = correspondence().apply(vertices)
    rims = np.column_stack([_AROUND, np.full(len(_AROUND), _IRIS_DEPTH)]) * eye_radius
    turned = rims @ turn.T
    points[N_SKIN_POINTS:] = (eye_centres[:, None] + turned).reshape(-1, 3)
    return points
