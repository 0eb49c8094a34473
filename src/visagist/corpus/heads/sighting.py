"""Follows the mesh network's points on rendered heads back to the base mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import BaseMesh, HeadAssets, base_mesh
from visagist.corpus.heads.camera import rotation
from visagist.corpus.heads.geometry import shaped
from visagist.corpus.heads.loops import mouth_triangles
from visagist.corpus.heads.scene import HeadsConfig, Scene, draw_scene
from visagist.corpus.heads.studio import Shot, Studio
from visagist.corpus.heads.surface import HEAD
from visagist.face.find import find_faces
from visagist.face.topology import N_SKIN_POINTS, mirror_index

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the mesh network said about one picture.

    Attributes:
        rest: (468, 3) where each point falls on the base mesh at rest; NaN where it missed.
        facing: (468,) cosine between the surface there and the direction to the camera.
        view: (3,) unit vector from the head to the camera, in model space.
        error: (468,) distance from the present correspondence in shares of the eyes' distance.
    """

    rest: Floats
    facing: Floats
    view: Floats
    error: Floats

    def mirrored(self) -> Sighting:
        """The same with left and right exchanged."""
        swap, flip = mirror_index()[:N_SKIN_POINTS], np.array([-1.0, 1.0, 1.0])
        return Sighting(
            self.rest[swap] * flip, self.facing[swap], self.view * flip, self.error[swap]
        )


def gather(folder: Path, people: int, pictures: int, seed: int) -> Iterator[Sighting]:
    """Draw people, run the bundled mesh network and follow its points back.

    Args:
        folder: MakeHuman's assets.
        people: how many.
        pictures: of each, with different poses, lights and expressions.
        seed: draws them.

    Raises:
        DataError: the folder lacks assets, or there is no OpenGL.
    """
    config = HeadsConfig(size=320, zoom=1.6, worn=0.0, seed=seed)
    studio = Studio(HeadAssets(folder), config.size, config.zoom)
    for number in range(people):
        for picture in range(pictures):
            scene = draw_scene(config, number, picture, studio.assets)
            shot = studio.shoot(scene)
            faces = find_faces(shot.image)
            if faces:
                yield sight(scene, shot, faces[0].mesh)


def sight(scene: Scene, shot: Shot, mesh: NDArray[np.floating]) -> Sighting:
    """Follow a mesh in crop pixels back to the base mesh."""
    base = base_mesh()
    vertices = shaped(scene.spec).vertices
    photo = scene.camera.project(scene.pose.place(vertices)).astype(np.float64)
    screen = np.column_stack([shot.alignment.to_crop(photo), photo[:, 2]])
    triangles = _outside(base)
    first, weights = foremost(screen, triangles, np.asarray(mesh[:N_SKIN_POINTS, :2], np.float64))
    hit = first >= 0
    corners = triangles[first]
    rest = np.einsum("pk,pkx->px", weights, base.vertices[corners].astype(np.float64))
    a, b, c = (vertices[corners[:, k]].astype(np.float64) for k in range(3))
    across = np.cross(b - a, c - a)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    pose = scene.pose
    view = rotation(pose.yaw, pose.pitch, pose.roll).T @ np.array([0.0, 0.0, 1.0])
    away = np.linalg.norm(mesh[:N_SKIN_POINTS, :2] - shot.mesh[:N_SKIN_POINTS, :2], axis=1)
    eyes = shot.mesh[[33, 133, 362, 263], :2]
    scale = float(np.linalg.norm(eyes[:2].mean(0) - eyes[2:].mean(0)))
    return Sighting(
        np.where(hit[:, None], rest, np.nan), np.where(hit, across @ view, 0.0), view, away / scale
    )


def _outside(base: BaseMesh) -> NDArray[np.int32]:
    """The head's triangles without the mouth's lining."""
    triangles = base.mesh.triangles
    head = base.vertices[triangles][..., 1].min(1) > HEAD
    return np.asarray(triangles[base.triangles_of("body") & head & ~mouth_triangles(base)])


def foremost(
    screen: Floats, triangles: NDArray[np.int32], points: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Which triangle is in front at each point of a picture.

    Args:
        screen: (V, 3) pixels and depth, nearer is smaller.
        triangles: (T, 3).
        points: (P, 2) pixels.

    Returns:
        (P,) triangle, -1 where there is none, and (P, 3) barycentric weights on the screen, which
        over one small triangle are those on the surface.
    """
    a, b, c = (screen[triangles[:, k], :2] for k in range(3))
    low, high = np.minimum(np.minimum(a, b), c).T, np.maximum(np.maximum(a, b), c).T
    u, v = b - a, c - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    seen = np.abs(area) > 1e-9
    found = np.full(len(points), -1, np.int64)
    weights = np.zeros((len(points), 3))
    for k, point in enumerate(points):
        x, y = point
        near = np.flatnonzero(
            seen & (low[0] <= x) & (high[0] >= x) & (low[1] <= y) & (high[1] >= y)
        )
        w = point - a[near]
        s = (w[:, 0] * v[near, 1] - w[:, 1] * v[near, 0]) / area[near]
        t = (u[near, 0] * w[:, 1] - u[near, 1] * w[:, 0]) / area[near]
        share = np.column_stack([1 - s - t, s, t])
        inside = share.min(1, initial=np.inf) >= -1e-9
        if inside.any():
            near, share = near[inside], share[inside]
            depth = (screen[triangles[near], 2] * share).sum(1)
            best = int(np.argmin(depth))
            found[k], weights[k] = near[best], share[best]
    return found, weights
