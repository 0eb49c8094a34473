"""Other light on a face: shading ratios from the mesh's normals, exposure and white balance.

A picture is multiplied, in linear light, by new shading over old shading (Liu, Shan & Zhang 2001,
ratio images). Shading is a low-order function of the surface's direction (Ramamoorthi & Hanrahan
2001); the skin's own colour cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.regions import face_scale
from visagist.face.topology import FACE_OVAL, N_SKIN_POINTS, triangles
from visagist.face.warp import extended, interpolate, triangle_map

Floats = NDArray[np.float32]

_GAMMA = 2.2
# Shading is kept within these factors: beyond, shadows would need to be cast, and noise would show.
_LEAST, _MOST = 0.45, 1.7
_KNEE = np.float32(225.0)  # levels above which brightening is compressed


@dataclass(frozen=True, slots=True)
class Light:
    """How the light on a face changes.

    Attributes:
        towards: x to the image's right, y down, z to the viewer: where more light comes from; its
            length is the relative change between a surface that faces it and the face's front.
        rim: change of surfaces that turn away from the viewer, -0.5..0.5.
        stops: exposure, in powers of two.
        warmth: red against blue, in powers of two; positive is warmer.
        tint: magenta against green, in powers of two.
    """

    towards: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rim: float = 0.0
    stops: float = 0.0
    warmth: float = 0.0
    tint: float = 0.0


_NO_CHANGE = Light()


def point_normals(mesh: NDArray[np.floating]) -> Floats:
    """(468, 3) unit normals of the skin points: x right, y down, z to the viewer."""
    points = np.asarray(mesh[:N_SKIN_POINTS], np.float64) * (1.0, 1.0, -1.0)
    faces = triangles()
    a, b, c = (points[faces[:, k]] for k in range(3))
    # the mesh winds one way in the picture and y points down
    across = np.cross(b - a, c - a)
    if across[:, 2].sum() < 0:
        across = -across
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, faces[:, k], across)
    length = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return np.asarray(normals / length, np.float32)


def normal_map(mesh: NDArray[np.floating], size: int) -> Floats:
    """(size, size, 3) directions of a face's surface, turning to the viewer outside the face."""
    points, _ = extended(mesh, mesh, size)
    normals = np.zeros((len(points), 3), np.float32)
    normals[:, 2] = 1
    normals[:N_SKIN_POINTS] = point_normals(mesh)
    count = len(FACE_OVAL)
    rings = (len(points) - N_SKIN_POINTS) // count
    for ring in range(rings):
        fade = (1 - (ring + 1) / rings) ** 3  # soon, or plain backgrounds get a halo
        start = N_SKIN_POINTS + ring * count
        normals[start : start + count] = fade * normals[list(FACE_OVAL)] + (0, 0, 1 - fade)
    shown = triangle_map(points, np.asarray(mesh[:, 2]), size)
    dense = interpolate(normals, points, shown)
    dense[shown < 0] = (0, 0, 1)
    # facets of the mesh must not show
    smooth = cv2.GaussianBlur(dense, (0, 0), 2.5 * face_scale(mesh))
    length = np.maximum(np.linalg.norm(smooth, axis=2, keepdims=True), 1e-6)
    return np.asarray(smooth / length, np.float32)


def shading_ratio(normals: Floats, light: Light) -> Floats:
    """(S, S) factor on linear light; 1 on surfaces that face the viewer."""
    x, y, z = light.towards
    change = x * normals[..., 0] + y * normals[..., 1] + z * (normals[..., 2] - 1)
    change += light.rim * (1 - normals[..., 2] ** 2)
    return np.asarray(np.clip(1 + change, _LEAST, _MOST), np.float32)


def multiplied(
    image: NDArray[np.uint8], ratio: Floats, light: Light = _NO_CHANGE
) -> NDArray[np.uint8]:
    """A picture times a factor a pixel, and a light's exposure and white balance."""
    gains = 2.0 ** np.array(
        [light.warmth / 2 + light.tint / 4, -light.tint / 2, -light.warmth / 2 + light.tint / 4]
    )
    gains = (gains * 2.0**light.stops) ** (1 / _GAMMA)
    factor = (ratio ** np.float32(1 / _GAMMA))[..., None] * gains.astype(np.float32)
    old = image.astype(np.float32)
    value = old * factor
    # a soft shoulder where it gets brighter: highlights lose contrast instead of clipping
    over = np.maximum(value - _KNEE, 0)
    soft = np.minimum(value, _KNEE) + over / (1 + over / (255 - _KNEE))
    value = np.where(factor <= 1, value, np.maximum(soft, old))
    return np.asarray(np.clip(np.rint(value), 0, 255), np.uint8)


def shading_change(
    before: NDArray[np.floating], after: NDArray[np.floating], size: int, *, strength: float = 0.6
) -> Floats:
    """(size, size) factor on linear light where a face's relief changed, as seen at ``after``.

    The light is taken to come from above and from the viewer, as it mostly does.

    Args:
        before: (478, 3) mesh the shading of the picture belongs to.
        after: (478, 3) mesh the picture has been warped to.
        size: side of the crop.
        strength: share of the light that has a direction.
    """
    points, _ = extended(after, after, size)
    # both reliefs are laid over the new outline, so that only their directions differ
    shades = []
    for mesh in (before, after):
        n = np.zeros((len(points), 3), np.float32)
        n[:, 2] = 1
        n[:N_SKIN_POINTS] = point_normals(mesh)
        shades.append(1 - strength + strength * (n[:, 2] * 0.8 - n[:, 1] * 0.6))
    ratio = np.ones((len(points), 1), np.float32)
    ratio[:, 0] = np.clip(shades[1], 0.2, None) / np.clip(shades[0], 0.2, None)
    ratio[N_SKIN_POINTS:] = 1
    shown = triangle_map(points, np.asarray(after[:, 2]), size)
    dense = interpolate(ratio, points, shown)[..., 0]
    dense[(shown < 0) | (shown >= len(triangles()))] = 1
    smooth = cv2.GaussianBlur(dense, (0, 0), 2.0 * face_scale(after))
    return np.clip(smooth, 0.6, 1.5).astype(np.float32)
