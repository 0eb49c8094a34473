"""Applies an expression so that lips and lids meet where they should, on every face.

The units were made for one face. On others the resting lips stand a little apart or run into each
other, and a full blink goes past the lower lid. Both are straight-line motions, so the weight at
which they just touch is a division.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import BaseMesh
from visagist.corpus.heads.correspondence import correspondence
from visagist.corpus.heads.expression import Expression

Floats = NDArray[np.float32]
# Pairs of points that meet: inner lips, and the lids' edges between the corners.
_LIPS = ((13, 14), (312, 317), (82, 87))
_LIDS = {
    "eyeBlinkLeft": ((387, 373), (386, 374), (385, 380)),
    "eyeBlinkRight": ((160, 144), (159, 145), (158, 153)),
}
_SEAL = "mouthClose"
# Decimetres between lips and lids that are closed; lids press a little on each other.
_LIPS_GAP, _LIDS_GAP = 0.001, -0.004
_MOST = 0.2  # the seal's weight beyond which it would be a grimace of its own
# Helper vertices of both rows of teeth and of the tongue, and where they go: at rest the base
# mesh's bite is so high and its tongue so far forward that parted lips show the lower row and the
# tongue, where people show the edges of the upper row.
_INSIDE = (
    (slice(14992, 15128), (0.0, -0.04, 0.0)),
    (slice(13380, 13606), (0.0, -0.06, -0.1)),
)


def expressed(base: BaseMesh, built: Floats, expression: Expression) -> Floats:
    """The (B, 3) vertices of a face with an expression.

    Args:
        base: the base mesh, for its units.
        built: (B, 3) the person's face at rest.
        expression: its ``eyeBlink`` weights say how far each eye closes: 1 is just closed, whatever
            the other units do to the lids.
    """
    weights = expression.targets()
    blinks = {name: weights.pop(name, 0.0) for name in _LIDS}
    seal = (_opening(built, _LIPS) - _LIPS_GAP) / _closing(base, _SEAL, _LIPS)
    weights[_SEAL] = weights.get(_SEAL, 0.0) + float(np.clip(seal, -_MOST, _MOST))
    vertices = base.moved(weights, built)
    for name, lids in _LIDS.items():
        blinks[name] *= (_opening(vertices, lids) - _LIDS_GAP) / _closing(base, name, lids)
    vertices = base.moved(blinks, vertices)
    for part, offset in _INSIDE:
        vertices[part] += np.array(offset, np.float32)
    return vertices


def _opening(vertices: Floats, pairs: tuple[tuple[int, int], ...]) -> float:
    """Mean height of the upper points over the lower ones."""
    where = correspondence()
    index = np.array(pairs)
    points = np.einsum("pqk,pqkx->pqx", where.weights[index], vertices[where.corners[index]])
    return float((points[:, 0, 1] - points[:, 1, 1]).mean())


@cache
def _closing(base: BaseMesh, unit: str, pairs: tuple[tuple[int, int], ...]) -> float:
    """By how much a unit's full weight closes an opening."""
    return -_opening(base.moved({unit: 1.0}, np.zeros_like(base.vertices)), pairs)
