"""Drawn faces in a style, as looks: for tests of everything that learns from pairs."""

from __future__ import annotations

import numpy as np

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.amplify.backend import CropFace, Look
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import Style

SKINS = ("light", "medium", "deep", "light", "medium")
RED = Style.model_validate(
    {
        "name": "red",
        "lips": {"colour": "#b0102a", "strength": 1.0, "opacity": 0.9},
        "eyeshadow": {"strength": 0.9, "lid": "#3060c0"},
        "blush": {"strength": 0.8},
    }
)


def face(number: int, *, size: int = 256) -> CropFace:
    """A face of its own: skin, light and turn follow from its number."""
    rng = np.random.default_rng(number)
    mesh = drawn_mesh(size, turn=float(rng.uniform(-12, 12)), gape=float(rng.uniform(0, 4)))
    mesh[:, :2] += rng.normal(0, 1.5, 2)
    crop = drawn_face(mesh, size, SKINS[number % len(SKINS)], light=float(rng.uniform(0.8, 1.1)))
    grain = rng.normal(0, 3, crop.shape)
    return CropFace(f"face-{number}", np.clip(crop + grain, 0, 255).astype(np.uint8), mesh)


def look(number: int, style: Style = RED) -> Look:
    """A face before and after."""
    bare = face(number)
    after = retouch(bare.crop, bare.mesh, style)
    return Look(bare.key, bare.crop, after, bare.mesh, np.ones(bare.crop.shape[:2], np.float32))


def truth(number: int, style: Style = RED) -> np.ndarray:
    """(256, 256, 3) change in levels that the style really makes."""
    made = look(number, style)
    return made.after.astype(np.float32) - made.before


def error(change: np.ndarray, wanted: np.ndarray) -> float:
    """Root mean square difference in levels."""
    return float(np.sqrt(((change - wanted) ** 2).mean()))
