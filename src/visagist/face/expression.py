"""What a face does, read off its mesh: ratios that the build of a face moves little.

They are no coefficients of a 3D face model, and differences in them compare with no published
"expression error"; they rank methods that are measured together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.pose import rotation

__all__ = ["EXPRESSION", "expression"]

EXPRESSION = (
    "mouth_open",
    "mouth_width",
    "mouth_corners",
    "eye_right",
    "eye_left",
    "brow_right",
    "brow_left",
    "gaze_x",
    "gaze_y",
)
"""What the nine numbers are, in their order."""

# upper lid, lower lid, outer corner, inner corner, middle of the brow, centre of the iris
_RIGHT = (159, 145, 33, 133, 105, 468)
_LEFT = (386, 374, 263, 362, 334, 473)


def expression(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """Nine ratios of a mesh that was turned to the front.

    Args:
        mesh: (478, 3).

    Returns:
        ``mouth_open``: gap of the inner lips over the mouth's width; ``mouth_width``: over the
        distance between the eyes' centres; ``mouth_corners``: how far the corners lie above the
        middle of the lips, over the mouth's width; ``eye_*``: gap of the lids over the eye's width;
        ``brow_*``: height of the brow above the eye, over the eye's width; ``gaze_*``: where the
        iris lies between the corners of the eye, 0 in the middle, in widths of the eye, the mean of
        both eyes, positive to the image's right and down.

    Raises:
        InputError: not a mesh, or without depth.
    """
    turn = rotation(mesh)
    points = (np.asarray(mesh, np.float64) - np.mean(mesh[:468], 0, dtype=np.float64)) @ turn
    points = points[:, :2]
    eyes = [_eye(points, *side) for side in (_RIGHT, _LEFT)]
    centres = [points[[outer, inner]].mean(0) for _, _, outer, inner, *_ in (_RIGHT, _LEFT)]
    across = max(_distance(*centres), 1e-6)
    width = max(_distance(points[61], points[291]), 1e-6)
    lips = points[[13, 14]].mean(0)
    corners = points[[61, 291]].mean(0)
    gaze = (eyes[0][2] + eyes[1][2]) / 2
    return np.array(
        [
            _distance(points[13], points[14]) / width,
            width / across,
            (lips[1] - corners[1]) / width,
            eyes[0][0],
            eyes[1][0],
            eyes[0][1],
            eyes[1][1],
            gaze[0],
            gaze[1],
        ]
    )


def _eye(points: NDArray[np.float64], *indices: int) -> tuple[float, float, NDArray[np.float64]]:
    """Opening, height of the brow and place of the iris of one eye, in widths of the eye."""
    upper, lower, outer, inner, brow, iris = (points[i] for i in indices)
    width, middle = max(_distance(outer, inner), 1e-6), (outer + inner) / 2
    return (
        _distance(upper, lower) / width,
        (middle[1] - brow[1]) / width,
        np.asarray((iris - middle) / width, np.float64),
    )


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.hypot(*(a - b)))
