"""Where the head is and how the camera sees it.

World space has the model's axes turned by the pose: x to the right of the picture, y up, z to the
camera, in decimetres, with the origin between the eyes of an unturned head. The camera looks along
-z. Photo pixels have y down and pixel centres at .5, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The neck turns between these heights of the model; the points of the face all lie above.
NECK_LOW, NECK_HIGH = -2.4, -1.15
# What the head turns about: where the skull sits on the neck.
PIVOT = np.array([0.0, -0.75, -0.85], np.float32)
# Depth 0 of a mesh lies so far behind the eyes, in decimetres.
MESH_ZERO = 0.22


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is held.

    Attributes:
        yaw: degrees, positive when the face turns to the image's right.
        pitch: degrees, positive when the face looks up.
        roll: degrees, positive when the head tilts clockwise in the picture.
        follow: 0..1, how far the shoulders turn with the head.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    follow: float = 0.4

    def rotations(self) -> tuple[Floats, Floats]:
        """(3, 3) of the head and of the shoulders, which turn by yaw and a little roll only."""
        head = rotation(self.yaw, self.pitch, self.roll)
        body = rotation(self.follow * self.yaw, 0.0, 0.35 * self.follow * self.roll)
        return head, body

    def place(self, points: Floats) -> Floats:
        """World positions of (N, 3) model points; the same as the vertex shader computes."""
        head, body = self.rotations()
        share = np.clip((points[:, 1] - NECK_LOW) / (NECK_HIGH - NECK_LOW), 0, 1)
        share = (share * share * (3 - 2 * share))[:, None]
        own = points - PIVOT
        turned = (own @ head.T) * share + (own @ body.T) * (1 - share)
        return np.asarray(turned + PIVOT, np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """(3, 3) matrix Rz Ry Rx in world axes from degrees with the signs of :class:`Pose`."""
    y, p, r = np.radians([yaw, pitch, roll])
    ry = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    rx = [[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]]
    rz = [[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]]
    return np.asarray(np.array(rz) @ np.array(ry) @ np.array(rx), np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera without distortion.

    Attributes:
        distance: from the camera to the plane of the origin, decimetres.
        focal: focal length in photo pixels.
        side: width and height of the photo in pixels.
        shift: world (x, y) of the origin against the optical axis, decimetres.
    """

    distance: float
    focal: float
    side: float
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def scale(self) -> float:
        """Photo pixels a decimetre at the distance of the origin."""
        return self.focal / self.distance

    def project(self, world: Floats) -> Floats:
        """(N, 3) photo pixels of world points.

        z is the depth behind the mesh's zero plane, times the scale at that plane: in pixels,
        nearer is smaller, like the z of a face mesh.
        """
        depth = np.maximum(self.distance - world[:, 2], 1e-3)
        factor = self.focal / depth
        x = self.side / 2 + factor * (world[:, 0] + self.shift[0])
        y = self.side / 2 - factor * (world[:, 1] + self.shift[1])
        z = (-world[:, 2] - MESH_ZERO) * self.scale
        return np.stack([x, y, z], axis=1).astype(np.float32)

    def clip_matrix(self, crop: NDArray[np.float64], size: int, near: float, far: float) -> Floats:
        """(4, 4) from world to OpenGL's clip space, where the viewport is the crop.

        Args:
            crop: (2, 3) from photo pixels to crop pixels.
            size: side of the crop.
            near: nearest depth that is drawn, decimetres.
            far: farthest.
        """
        # Crop coordinates times depth are linear in the world: photo first, then the crop.
        f, half = self.focal, self.side / 2
        depth = np.array([0, 0, -1, self.distance])
        photo = np.array(
            [
                np.array([f, 0, 0, f * self.shift[0]]) + half * depth,
                np.array([0, -f, 0, -f * self.shift[1]]) + half * depth,
                depth,
            ]
        )
        x, y = crop @ photo
        a, b = (far + near) / (far - near), -2 * far * near / (far - near)
        return np.asarray(
            [
                2 * x / size - depth,
                depth - 2 * y / size,
                a * depth + np.array([0, 0, 0, b]),
                depth,
            ],
            np.float32,
        )
