"""Expressions as movements of the mesh points.

The movements were read off heads rendered from MakeHuman's base mesh and CC0 face units
(:func:`fit_units`), averaged over builds, and ship as ``expressions.npz``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.posing import posed_like
from visagist.errors import InputError
from visagist.face.topology import LIPS_INNER, N_SKIN_POINTS, canonical_points

Floats = NDArray[np.float32]

FILE = "expressions.npz"
UNITS = (
    "browDown", "browInnerUp", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide",
    "jawOpen", "mouthFrown", "mouthPress", "mouthPucker", "mouthSmile", "mouthStretch",
    "mouthUpperUp", "noseSneer",
)  # fmt: skip
"""Both sides together; named as in ARKit."""
CLOSED = 0.045
"""Gap of the lips over their width below which a mouth is closed."""


def mouth_open(mesh: NDArray[np.floating]) -> float:
    """Gap between the inner lips divided by the width of the mouth."""
    gap, width = mesh[13, :2] - mesh[14, :2], mesh[61, :2] - mesh[291, :2]
    return float(np.hypot(*gap) / max(float(np.hypot(*width)), 1e-6))


@cache
def units() -> dict[str, Floats]:
    """Each unit's movement at full weight, (478, 3) in the frontal canonical crop's pixels."""
    with resources.files(__package__).joinpath(FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        moves = zip(data["names"], data["moves"], strict=True)
        return {str(name): move.astype(np.float32) for name, move in moves}


def expressed(mesh: NDArray[np.floating], weights: Mapping[str, float]) -> Floats:
    """A mesh with an expression added to the one it has.

    A mouth that is closed stays closed: there are no teeth in the picture to show.

    Args:
        mesh: (478, 3).
        weights: of units, -1..1.

    Raises:
        InputError: an unknown unit.
    """
    unknown = sorted(set(weights) - set(UNITS))
    if unknown:
        raise InputError(f"no expression unit {unknown[0]!r}; there are {', '.join(UNITS)}")
    move = np.zeros((len(mesh), 3))
    for name, weight in weights.items():
        move += weight * units()[name]
    front = canonical_points()
    if mouth_open(mesh) < CLOSED:
        count = len(LIPS_INNER)
        for k in range(1, count // 2):
            pair = [LIPS_INNER[(5 - k) % count], LIPS_INNER[5 + k]]
            move[pair] = move[pair].mean(0)
    turned = posed_like(front + move, mesh, front) - posed_like(front, mesh)
    return (np.asarray(mesh, np.float64) + turned).astype(np.float32)


def fit_units(seeds: Sequence[int] = tuple(range(12))) -> dict[str, Floats]:
    """Measure the movements of ``UNITS`` on heads; needs the extra ``heads``.

    Args:
        seeds: of the builds that are averaged.

    Returns:
        (478, 3) for each unit, in the frontal canonical crop's pixels.
    """
    # the bundled file serves everybody else
    from visagist.corpus.heads.expression import Expression  # noqa: PLC0415
    from visagist.corpus.heads.geometry import HeadSpec, build_head  # noqa: PLC0415
    from visagist.corpus.heads.sampling import sample_shape  # noqa: PLC0415

    front = canonical_points()
    total = {name: np.zeros(front.shape) for name in UNITS}
    for seed in seeds:
        shape = sample_shape(seed)

        def points(weights: Mapping[str, float], shape: object = shape) -> NDArray[np.float64]:
            head = build_head(HeadSpec(shape, Expression(units=weights)))  # type: ignore[arg-type]
            return head.points.astype(np.float64) * (1, -1, -1)

        rest = points({})
        for name in UNITS:
            sides = (
                (name,)
                if name in {"browInnerUp", "jawOpen", "mouthPucker"}
                else (
                    f"{name}Left",
                    f"{name}Right",
                )
            )
            moved = points(dict.fromkeys(sides, 1.0))
            total[name] += posed_like(moved, front, rest) - posed_like(rest, front)
    moves = {name: (value / len(seeds)).astype(np.float32) for name, value in total.items()}
    for value in moves.values():
        value[N_SKIN_POINTS:] = 0  # the eyeballs stay
    return moves
