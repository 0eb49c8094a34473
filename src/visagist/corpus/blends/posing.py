"""Meshes brought to one pose, and their mean there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.topology import N_SKIN_POINTS

Floats = NDArray[np.float32]


def mix_meshes(
    meshes: Sequence[NDArray[np.floating]], weights: Sequence[float], host: int = 0
) -> Floats:
    """The weighted mean of meshes, each first turned and scaled to the host's pose.

    Args:
        meshes: (478, 3) each.
        weights: one a mesh; they sum to 1.
        host: which mesh keeps its pose.

    Returns:
        (478, 3) in the host's pixels.

    Raises:
        InputError: the weights do not fit the meshes or do not sum to 1.
    """
    if len(meshes) != len(weights) or abs(sum(weights) - 1) > 1e-6:
        raise InputError(f"{len(meshes)} meshes need as many weights that sum to 1, got {weights}")
    total = np.zeros((len(meshes[host]), 3))
    for k, (mesh, weight) in enumerate(zip(meshes, weights, strict=True)):
        total += weight * (mesh if k == host else posed_like(mesh, meshes[host]))
    return total.astype(np.float32)


def posed_like(
    mesh: NDArray[np.floating],
    like: NDArray[np.floating],
    fitted: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """A mesh turned, scaled and moved onto another (Umeyama 1991, three dimensions).

    Args:
        mesh: (478, 3).
        like: (478, 3); the skin points of both are fitted.
        fitted: (478, 3) whose skin points are fitted instead of the mesh's own.
    """
    source = np.asarray((mesh if fitted is None else fitted)[:N_SKIN_POINTS], np.float64)
    target = np.asarray(like[:N_SKIN_POINTS], np.float64)
    p, q = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(q.T @ p)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    scale = (s * sign).sum() / (p**2).sum()
    turn = scale * (u * sign) @ vt
    moved = (np.asarray(mesh, np.float64) - source.mean(0)) @ turn.T + target.mean(0)
    return np.asarray(moved, np.float64)
