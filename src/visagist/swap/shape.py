"""Face shape apart from pose and expression: what one person's mesh has that another's has not."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.expression import UNITS, units
from visagist.corpus.blends.posing import posed_like
from visagist.face.topology import (
    LEFT_EYE,
    LEFT_IRIS,
    N_SKIN_POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
    canonical_points,
)

Floats = NDArray[np.float32]

EYES = ((RIGHT_EYE, (468, *RIGHT_IRIS)), (LEFT_EYE, (473, *LEFT_IRIS)))
"""Points of the lids and of the iris (centre first), of the right and the left eye."""
# Weight of "no expression" against fitting every point, in units of the movements' own size.
_RIDGE = 0.02


@cache
def _expressions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(1404, 15) movements of the expression units and the (15, 1404) matrix that fits them."""
    columns = [units()[name][:N_SKIN_POINTS].ravel() for name in UNITS]
    basis: NDArray[np.float64] = np.stack(columns, 1).astype(np.float64)
    gram = basis.T @ basis
    ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return basis, np.asarray(np.linalg.solve(gram + ridge, basis.T), np.float64)


def shape_difference(mesh: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    """How the face of ``mesh`` is built differently from that of ``other``.

    Both are turned to the frontal canonical face; what expression units explain of the difference
    is taken out, so that a smile is no wide mouth.

    Args:
        mesh: (478, 3).
        other: (478, 3).

    Returns:
        (478, 3) movement in the frontal canonical crop's pixels; irises do not move.
    """
    front = canonical_points()
    difference = (posed_like(mesh, front) - posed_like(other, front))[:N_SKIN_POINTS]
    basis, fit = _expressions()
    flat = difference.ravel()
    move = np.zeros(front.shape, np.float32)
    move[:N_SKIN_POINTS] = (flat - basis @ (fit @ flat)).reshape(-1, 3)
    return move


def moved(mesh: NDArray[np.floating], move: NDArray[np.floating]) -> Floats:
    """A mesh whose face is built differently; pose and expression stay.

    Args:
        mesh: (478, 3).
        move: (478, 3) in the frontal canonical crop's pixels.

    Returns:
        (478, 3); the irises follow their lids.
    """
    front = canonical_points()
    added = posed_like(front + move, mesh, front) - posed_like(front, mesh)
    result = np.asarray(mesh, np.float64) + added
    return with_irises(result.astype(np.float32), mesh)


def with_irises(mesh: Floats, before: NDArray[np.floating]) -> Floats:
    """The irises go where their lids went, by the affine map that fits the lids best."""
    result = mesh.copy()
    for lids, iris in EYES:
        ring = np.asarray(before[list(lids), :2], np.float64)
        flat = np.column_stack([ring, np.ones(len(ring))])
        affine = np.linalg.lstsq(flat, mesh[list(lids), :2], rcond=None)[0]
        inside = np.asarray(before[list(iris), :2], np.float64)
        result[list(iris), :2] = np.column_stack([inside, np.ones(len(inside))]) @ affine
    return result


def eye_opening(mesh: NDArray[np.floating]) -> tuple[float, float]:
    """Gap between the lids over the width of the eye, right and left."""
    result = []
    for upper, lower, outer, inner in ((159, 145, 33, 133), (386, 374, 263, 362)):
        gap = np.hypot(*(mesh[upper, :2] - mesh[lower, :2]))
        result.append(float(gap / max(float(np.hypot(*(mesh[outer, :2] - mesh[inner, :2]))), 1e-6)))
    return result[0], result[1]
