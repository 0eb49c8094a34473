"""Piecewise-affine warps of a crop through the face mesh, continued to the crop's border.

The mesh's 898 triangles carry the face. Around its oval, rings of triangles carry on to the border
of the crop, where nothing moves, so that hair and background follow the face smoothly.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visagist.face.topology import FACE_OVAL, N_SKIN_POINTS, triangles

Floats = NDArray[np.float32]

# How far the rings lie between the oval (0) and the border (1).
_RINGS = (0.2, 0.45, 0.72, 1.0)


@lru_cache(maxsize=1)
def surface() -> NDArray[np.int32]:
    """(T, 3) triangles of the mesh and of the rings around it.

    The first 898 are the mesh's. Point ``N_SKIN_POINTS + 36 r + i`` is ring r's continuation of
    oval point i; the numbers are those of :func:`extended`.
    """
    count = len(FACE_OVAL)
    rings = [np.array(FACE_OVAL)]
    rings += [N_SKIN_POINTS + count * r + np.arange(count) for r in range(len(_RINGS))]
    strips = [triangles()]
    for inner, outer in pairwise(rings):
        follow_in, follow_out = np.roll(inner, -1), np.roll(outer, -1)
        strips.append(np.stack([inner, outer, follow_in], 1))
        strips.append(np.stack([follow_in, outer, follow_out], 1))
    result = np.concatenate(strips).astype(np.int32)
    result.setflags(write=False)
    return result


def extended(
    source: NDArray[np.floating], target: NDArray[np.floating], size: int
) -> tuple[Floats, Floats]:
    """The skin points of two meshes with rings of points around them.

    Args:
        source: (478, 2 or 3) mesh in the picture that is read, in crop pixels.
        target: the same points in the picture that is made, same crop.
        size: side of the crop in pixels.

    Returns:
        (N, 2) source and target points; on the outermost ring, which lies on the border of the
        crop or outside it, they are equal.
    """
    inner = np.asarray(source, np.float32)[list(FACE_OVAL), :2]
    moved = np.asarray(target, np.float32)[list(FACE_OVAL), :2] - inner
    centre = inner.mean(0)
    ray = inner - centre
    # to the border of the crop; a face that reaches over it gets a margin of a third
    reach = (size / 2 + np.where(ray > 0, 1, -1) * (size / 2 - centre)) / np.maximum(
        np.abs(ray), 1e-3
    )
    border = centre + ray * np.maximum(reach.min(1), 1.33)[:, None]
    ends = [np.asarray(source, np.float32)[:N_SKIN_POINTS, :2]]
    starts = [np.asarray(target, np.float32)[:N_SKIN_POINTS, :2]]
    for t in _RINGS:
        ring = inner + t * (border - inner)
        ends.append(ring)
        starts.append(ring + (1 - t) ** 2 * moved)
    return np.concatenate(ends).astype(np.float32), np.concatenate(starts).astype(np.float32)


def triangle_map(
    points: NDArray[np.floating], depth: NDArray[np.floating], size: int
) -> NDArray[np.int32]:
    """Which triangle of :func:`surface` each pixel shows; the nearest where the face folds.

    Args:
        points: (N, 2) of :func:`extended`.
        depth: (468 or more,) z of the skin points, nearer is smaller.
        size: side of the crop in pixels.

    Returns:
        (size, size) int32, -1 where no triangle lies.
    """
    faces = surface()
    inside = len(triangles())
    far = np.full(len(faces), np.inf)
    far[:inside] = depth[triangles()].mean(1)
    corners = (points[faces] - 0.5).reshape(len(faces), 6).tolist()
    image = Image.new("I", (size, size), -1)
    draw = ImageDraw.Draw(image)
    for k in np.argsort(-far, kind="stable").tolist():
        draw.polygon(corners[k], fill=k)
    return np.asarray(image, np.int32)


def interpolate(
    values: NDArray[np.floating],
    points: NDArray[np.floating],
    shown: NDArray[np.int32],
    *,
    corner: tuple[int, int] = (0, 0),
) -> Floats:
    """Spread values of points over the pixels of their triangles, linearly.

    Args:
        values: (N, C) one row a point of :func:`extended`.
        points: (N, 2), the points that ``shown`` was drawn from.
        shown: (H, W) of :func:`triangle_map`, or a part of it.
        corner: x, y of that part.

    Returns:
        (H, W, C) float32; 0 where no triangle lies.
    """
    faces = surface()
    a, b, c = (points[faces[:, k]].astype(np.float64) - corner for k in range(3))
    p, q, r = (values[faces[:, k]].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    flat = np.abs(det) < 1e-6
    det = np.where(flat, 1.0, det)[:, None]
    by_x = ((q - p) * v[:, 1:] - (r - p) * u[:, 1:]) / det
    by_y = ((r - p) * u[:, :1] - (q - p) * v[:, :1]) / det
    by_x[flat] = by_y[flat] = 0.0
    offset = p - by_x * a[:, :1] - by_y * a[:, 1:]
    # a last row of zeros serves the pixels without a triangle; one gather takes all three
    planes = np.concatenate([by_x, by_y, offset], 1)
    planes = np.concatenate([planes, np.zeros((1, planes.shape[1]))]).astype(np.float32)
    height, width = shown.shape
    at = planes.take(shown.ravel(), axis=0, mode="wrap").reshape(height, width, 3, -1)
    result = at[..., 0, :] * (np.arange(width, dtype=np.float32) + 0.5)[None, :, None]
    result += at[..., 1, :] * (np.arange(height, dtype=np.float32) + 0.5)[:, None, None]
    result += at[..., 2, :]
    return np.asarray(result, np.float32)


def field(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    shown: NDArray[np.int32],
    *,
    corner: tuple[int, int] = (0, 0),
) -> Floats:
    """Where in the source each target pixel comes from.

    Args:
        source: (N, 2) of :func:`extended`.
        target: (N, 2), the points that ``shown`` was drawn from.
        shown: (H, W) of :func:`triangle_map`, or a part of it.
        corner: x, y of that part.

    Returns:
        (H, W, 2) float32 x, y in source pixels, pixel centres at .5; pixels without a triangle
        come from where they are.
    """
    where = interpolate(source, target, shown, corner=corner)
    rows, columns = np.nonzero(shown < 0)
    if rows.size:
        where[rows, columns] = np.stack([columns, rows], 1) + np.add(corner, 0.5)
    return where
