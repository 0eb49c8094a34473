"""A drawn face on the canonical mesh, for tests that need a picture and a mesh that fit."""

from __future__ import annotations

import numpy as np

from visagist.face.raster import blur, catmull_rom, fill
from visagist.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_EYE,
    RIGHT_IRIS,
    canonical_points,
)

SKINS = {"light": (236, 205, 184), "medium": (190, 140, 110), "deep": (92, 62, 48)}


def drawn_mesh(size: int = 256, *, gape: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """The canonical mesh at a crop size, the mouth open by ``gape`` and the head turned.

    ``gape`` is in canonical pixels, ``turn`` in degrees about the vertical axis.
    """
    mesh = canonical_points().astype(np.float64).copy()
    if gape:
        for ring in (LIPS_INNER, LIPS_OUTER):
            index = np.array(ring)
            low = index[mesh[index, 1] > 184.5]
            mesh[low, 1] += gape
    if turn:
        angle = np.radians(turn)
        x, z = mesh[:, 0] - 128.0, mesh[:, 2]
        mesh[:, 0] = 128.0 + x * np.cos(angle) + z * np.sin(angle)
        mesh[:, 2] = z * np.cos(angle) - x * np.sin(angle)
    return (mesh * (size / 256)).astype(np.float32)


def drawn_face(
    mesh: np.ndarray, size: int, skin: str = "medium", *, light: float = 1.0
) -> np.ndarray:
    """(size, size, 3) uint8: skin, lips, mouth, eyes with irises, dark hair around."""
    image = np.zeros((size, size, 3), np.float32) + np.float32([40, 30, 26])

    def put(outline: np.ndarray, colour: tuple[float, ...]) -> None:
        nonlocal image
        alpha = fill(outline, size, size)[..., None]
        image = image * (1 - alpha) + alpha * np.float32(colour)

    def ring(indices: tuple[int, ...]) -> np.ndarray:
        return catmull_rom(mesh[list(indices), :2])

    tone = np.float32(SKINS[skin])
    put(ring(FACE_OVAL), tuple(tone))
    put(ring(LIPS_OUTER), tuple(tone * np.float32([0.86, 0.62, 0.62])))
    put(ring(LIPS_INNER), (60, 20, 22))
    for eye, iris in ((LEFT_EYE, LEFT_IRIS), (RIGHT_EYE, RIGHT_IRIS)):
        put(ring(eye), (225, 222, 220))
        alpha = fill(ring(iris), size, size) * fill(ring(eye), size, size)
        image = image * (1 - alpha[..., None]) + alpha[..., None] * np.float32([70, 45, 30])
    # Shading that is the same from both sides, and a texture that is, too.
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5
    across = np.abs(x - size / 2) / size
    texture = np.sin(across * 190) * np.cos(y / size * 170)
    image = blur(image, 0.5 * size / 256) * (1.06 - 0.5 * across**2)[..., None]
    return np.clip((image + 3.0 * texture[..., None]) * light, 0, 255).astype(np.uint8)
