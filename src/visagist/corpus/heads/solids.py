"""Simple solids for things worn or held: sheets, tubes and cloth around a head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.materials import plain
from visagist.face.parts import Part

Floats = NDArray[np.float32]
Points = NDArray[np.floating]
Colour = tuple[float, float, float]
Random = np.random.Generator
AXIS = np.array([0.0, 0.0, -0.75], np.float32)  # a vertical line through the skull


def grid_draw(points: Points, part: Part, **values: object) -> Draw:
    """A sheet of (N, M, 3) points as triangles; ``values`` go to the plain material."""
    grid = np.asarray(points, np.float32)
    n, m = grid.shape[:2]
    du = np.gradient(grid, axis=0)
    dv = np.gradient(grid, axis=1)
    normal = np.cross(dv, du)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    k = np.arange(n * m).reshape(n, m)
    quads = np.stack([k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    u, v = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij")
    return Draw(
        "plain",
        grid.reshape(-1, 3).astype(np.float32),
        normal.reshape(-1, 3).astype(np.float32),
        triangles,
        np.full(len(triangles), part, np.uint8),
        uv=np.stack([u, v], -1).reshape(-1, 2).astype(np.float32),
        values=plain(**values),
    )


def tube(path: Points, radius: float | Points, sides: int = 8, flat: float = 1.0) -> Floats:
    """(N, sides + 1, 3) surface around a path; ``flat`` squeezes it along y."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.array([0.0, 0.0, 1.0]) + np.array([1e-3, 2e-3, 0])
    side = np.cross(along, helper)
    length = np.linalg.norm(side, axis=1, keepdims=True)
    side = np.where(length > 1e-2, side / np.maximum(length, 1e-9), np.array([0.0, 1.0, 0.0]))
    other = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    circle = (
        np.cos(angle)[None, :, None] * side[:, None] * flat
        + np.sin(angle)[None, :, None] * other[:, None]
    )
    return np.asarray(path[:, None] + circle * np.asarray(radius, np.float32).reshape(-1, 1, 1))


def sheet_around(head: HeadGeometry, angles: Points, heights: Points, out: float) -> Floats:
    """(A, H, 3) sheet around the head's axis, ``out`` decimetres before the skin.

    At each angle and height the radius is a soft maximum over the nearby skin, so that the sheet
    spans the hollows beside the nose and under the lip like cloth.
    """
    skin = head.surfaces[0]
    vertices = skin.vertices[np.unique(skin.triangles[skin.parts != Part.MOUTH])]
    low, high = heights.min() - 0.25, heights.max() + 0.25
    own = vertices[(vertices[:, 1] > low) & (vertices[:, 1] < high)] - AXIS
    angle = np.arctan2(own[:, 0], own[:, 2])
    keep = np.abs(angle) < np.abs(angles).max() + 0.3
    own, angle = own[keep], angle[keep]
    radius = np.hypot(own[:, 0], own[:, 2])
    a, h = np.meshgrid(angles, heights, indexing="ij")
    distance = ((a[..., None] - angle) / 0.13) ** 2 + ((h[..., None] - own[:, 1]) / 0.10) ** 2
    weight = np.exp(-0.5 * distance) * np.exp(18.0 * (radius - radius.max()))
    r = (weight * radius).sum(-1) / np.maximum(weight.sum(-1), 1e-12) + out
    # No vertex may stick out: the four nodes around each are at least as far from the axis.
    i = np.interp(angle, angles, np.arange(len(angles)), left=-9, right=-9)
    order = np.argsort(heights)
    j = np.interp(own[:, 1], heights[order], order.astype(float), left=-9, right=-9)
    for di in (0, 1):
        for dj in (0, 1):
            there = (i >= 0) & (j >= 0) & (i + di < len(angles)) & (j + dj < len(heights))
            node = ((i + di)[there].astype(int), (j + dj)[there].astype(int))
            np.maximum.at(r, node, radius[there] + 0.6 * out)
    return np.stack([r * np.sin(a), h, AXIS[2] + r * np.cos(a)], -1).astype(np.float32)


def cloth_colour(random: Random) -> Colour:
    """A colour of cloth, linear: any brightness, mostly muted."""
    level = float(random.uniform(0.1, 0.92)) ** 2.2
    tint = np.exp(random.normal(0, 0.45 if random.random() < 0.6 else 0.1, 3))
    r, g, b = np.clip(level * tint / tint.mean(), 0.008, 0.85).tolist()
    return r, g, b


def blended(one: Draw, *, labelled: bool) -> Draw:
    """The same, drawn last and without a shadow: a lens."""
    return replace(one, alpha="blend", labelled=labelled, shadow=False)
