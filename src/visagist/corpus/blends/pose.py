"""Small turns of a head through the depth of its mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.topology import FACE_OVAL

Floats = NDArray[np.float32]

# The head turns about a point behind the face, in widths of the face behind its outline.
_PIVOT = 0.25


def turned(mesh: NDArray[np.floating], *, yaw: float, pitch: float, roll: float = 0.0) -> Floats:
    """A mesh turned about a point inside the head, seen from far away.

    Args:
        mesh: (478, 3) in pixels, z nearer is smaller.
        yaw: degrees to the image's right.
        pitch: degrees up.
        roll: degrees clockwise in the picture.
    """
    points = np.asarray(mesh, np.float64)
    outline = points[list(FACE_OVAL)]
    pivot = outline.mean(0)
    pivot[2] += _PIVOT * np.ptp(outline[:, 0])
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    result = (points - pivot) @ (about_z @ about_y @ about_x).T + pivot
    return np.asarray(result, np.float32)
