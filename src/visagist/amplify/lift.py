"""Lift what is painted on one face to the mesh, and lay it on another: piecewise affine warps.

The atlas is the canonical frontal face, enlarged: what is lifted from several faces meets there,
point for point, and is averaged before it is laid on a new one.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.align import CROP_SIZE
from visagist.face.topology import N_SKIN_POINTS, canonical_points, triangles

Floats = NDArray[np.float32]

ATLAS_SIZE = 320
"""Side of the atlas in texels; its face is ATLAS_SIZE / CROP_SIZE times as large as in a crop."""
_COARSE = 2
"""Warps are piecewise affine, so they are rastered at a part of the size and enlarged."""
_NEAREST = 4
_SIDES = (3, 6, 12, 24, 48, 96, 192, 512)
"""Triangles are rastered in groups of like size, each triangle in a square of that many pixels."""


@lru_cache(maxsize=1)
def atlas_points() -> Floats:
    """(478, 3) canonical points in texels; z in the same unit."""
    points: Floats = canonical_points() * np.float32(ATLAS_SIZE / CROP_SIZE)
    points.setflags(write=False)
    return points


def warp(
    mesh: NDArray[np.floating], source: NDArray[np.floating], size: int
) -> tuple[Floats, Floats]:
    """Where every pixel of a face finds its like on another.

    Args:
        mesh: (478, 3) points in pixels of the result; what lies behind is hidden by what is nearer.
        source: (478, 2 or 3) the same points in the picture that is looked up.
        size: side of the result in pixels.

    Returns:
        (size, size, 2) float32 positions in the other picture, pixel centres at .5, and
        (size, size) 0..1, how squarely the place is seen: the cosine between the surface of
        ``mesh`` and the line of sight, 0 outside the mesh and where the surface faces away in
        either of the two.
    """
    small = -(-size // _COARSE)
    scale = np.float32(small / size)
    values = np.concatenate(
        [np.asarray(source, np.float32)[:N_SKIN_POINTS, :2], np.ones((N_SKIN_POINTS, 1))], 1
    ).astype(np.float32)
    facing = _facing(mesh) * (_facing(source) > 0)
    coarse = _raster(np.asarray(mesh, np.float32)[:N_SKIN_POINTS] * scale, values, facing, small)
    # Weighted by what is inside, so that the border is not mixed with the nothing around it.
    weight = coarse[..., 2]
    spread = cv2.dilate(coarse, np.ones((_NEAREST + 1, _NEAREST + 1), np.uint8))
    filled = np.where(weight[..., None] > 0, coarse[..., :2], spread[..., :2])
    return _enlarged(filled, size), _enlarged(coarse[..., 3], size)


def _enlarged(field: Floats, size: int) -> Floats:
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def sample(picture: NDArray[np.floating], places: Floats) -> Floats:
    """Look a picture up at the places of :func:`warp`.

    Args:
        picture: (H, W) or (H, W, C) float32.
        places: (S, S, 2) positions, pixel centres at .5.

    Returns:
        (S, S) or (S, S, C) float32, bilinear; 0 outside the picture.
    """
    moved = places - np.float32(0.5)
    looked = cv2.remap(
        np.asarray(picture, np.float32),
        np.ascontiguousarray(moved[..., 0]),
        np.ascontiguousarray(moved[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return np.asarray(looked, np.float32)


def _facing(mesh: NDArray[np.floating]) -> Floats:
    """(T,) cosine between each triangle's normal and the line of sight, 0 where it faces away."""
    points = np.asarray(mesh, np.float64)[:N_SKIN_POINTS]
    if points.shape[1] == 2:
        points = np.concatenate([points, np.zeros((N_SKIN_POINTS, 1))], 1)
    a, b, c = (points[triangles()[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    # The winding of the sheet decides which sign looks at the camera.
    cosine = _winding() * normal[:, 2] / np.maximum(length, 1e-9)
    return np.asarray(np.clip(cosine, 0, 1), np.float32)


@lru_cache(maxsize=1)
def _winding() -> float:
    points = canonical_points()[:N_SKIN_POINTS].astype(np.float64)
    a, b, c = (points[triangles()[:, k]] for k in range(3))
    return float(np.sign(np.cross(b - a, c - a)[:, 2].sum()))


def _raster(points: Floats, values: Floats, facing: Floats, size: int) -> Floats:
    """(size, size, C + 1): values interpolated over the nearest triangle, and how it faces."""
    sheet = triangles()
    shown = np.flatnonzero(facing > 0)
    corners = points[sheet[shown]]
    low = np.floor(corners[..., :2].min(1))
    extent = np.ceil(corners[..., :2].max(1) - low).max(1)
    found = [
        _rastered(corners[chosen], low[chosen], shown[chosen], side, size)
        for i, side in enumerate(_SIDES)
        if (chosen := np.flatnonzero((extent <= side) & (extent > (0, *_SIDES)[i]))).size
    ]
    out = np.zeros((size * size, values.shape[1] + 1), np.float32)
    if not found:
        return out.reshape(size, size, -1)
    where, triangle, weights, depth = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(-depth, kind="stable")  # written from far to near: the nearest stays
    where, triangle, weights = where[order], triangle[order], weights[order]
    inner = np.einsum("nk,nkc->nc", weights, values[sheet[triangle]])
    out[where] = np.concatenate([inner, facing[triangle][:, None]], 1)
    return out.reshape(size, size, -1)


def _rastered(
    corners: Floats, low: Floats, number: NDArray[np.int64], side: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Pixels of triangles that fit a square: index, triangle, barycentric weights and depth."""
    step = np.arange(side + 1, dtype=np.float32)
    x = low[:, 0, None, None] + step[None, None, :] + np.float32(0.5)
    y = low[:, 1, None, None] + step[None, :, None] + np.float32(0.5)
    (ax, ay), (bx, by), (cx, cy) = (
        (corners[:, k, 0, None, None], corners[:, k, 1, None, None]) for k in range(3)
    )
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    area = np.where(np.abs(area) < 1e-6, np.float32(np.nan), area)
    first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
    second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
    third = 1 - first - second
    slack = np.float32(-1e-4)
    inside = (first >= slack) & (second >= slack) & (third >= slack)
    inside &= (x > 0) & (x < size) & (y > 0) & (y < size)
    t, j, i = np.nonzero(inside)
    weights = np.stack([first[t, j, i], second[t, j, i], third[t, j, i]], 1)
    where = (low[t, 1].astype(np.int64) + j) * size + low[t, 0].astype(np.int64) + i
    depth = (weights * corners[t, :, 2]).sum(1)
    return where, number[t], weights, depth
