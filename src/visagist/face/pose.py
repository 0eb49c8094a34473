"""Where a head is turned, from its mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.regions import check_mesh
from visagist.face.topology import N_SKIN_POINTS, canonical_points


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles in degrees of a head against the picture.

    Attributes:
        yaw: positive when the face turns to the image's right.
        pitch: positive when the face looks up.
        roll: positive when the head tilts clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def pose(mesh: NDArray[np.floating]) -> Pose:
    """Rotation of the canonical face that fits a (478, 3) mesh best, see :func:`rotation`.

    It is read as R = Rz(roll) Ry(-yaw) Rx(-pitch), so that turning the picture changes nothing but
    the roll.

    Raises:
        InputError: not a mesh, or without depth.
    """
    r = rotation(mesh)
    return Pose(
        yaw=float(np.degrees(np.arcsin(np.clip(r[2, 0], -1, 1)))),
        pitch=float(np.degrees(-np.arctan2(r[2, 1], r[2, 2]))),
        roll=float(np.degrees(np.arctan2(r[1, 0], r[0, 0]))),
    )


def rotation(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3, 3) rotation from the frontal canonical face to a (478, 3) mesh.

    The 468 skin points are fitted by a similarity in three dimensions (Umeyama 1991), which is the
    weak perspective camera.

    Raises:
        InputError: not a mesh, or without depth.
    """
    check_mesh(mesh)
    if mesh.shape[1] != 3:
        raise InputError("the pose of a face needs a mesh with depth, (478, 3)")
    source = canonical_points()[:N_SKIN_POINTS].astype(np.float64)
    target = np.asarray(mesh[:N_SKIN_POINTS], np.float64)
    covariance = (target - target.mean(0)).T @ (source - source.mean(0))
    u, _, vt = np.linalg.svd(covariance)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    return np.asarray(u @ sign @ vt, np.float64)
