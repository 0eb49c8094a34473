"""A small gallery of made-up vectors, and who is in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.face.types import Face
from visagist.gallery.gallery import Gallery
from visagist.gallery.types import FaceCrop

KEY = bytes(range(32))
MODEL = "recognizer-1-aaaa"
DIMENSION = 16
LATER = date(2999, 1, 1)


def vector(seed: int, *, near: int | None = None, dimension: int = DIMENSION) -> np.ndarray:
    """A random unit vector, or one close to another seed's (cosine about 0.97)."""
    made = np.random.default_rng(seed).normal(size=dimension)
    if near is not None:
        base = np.random.default_rng(near).normal(size=dimension)
        made = base / np.linalg.norm(base) + 0.25 * made / np.linalg.norm(made)
    return (made / np.linalg.norm(made)).astype(np.float32)


def create(folder: Path, name: str = "small.gallery") -> Gallery:
    return Gallery.create(folder / name, model_id=MODEL, dimension=DIMENSION, key=KEY)


def put(gallery: Gallery, name: str, seed: int, **options: Any) -> Any:
    """Enrol with what a test does not care about filled in."""
    settings: dict[str, Any] = {"consent": "form 12", "retain_until": LATER, "model_id": MODEL}
    return gallery.enroll(name, vector(seed), **(settings | options))


def ask(gallery: Gallery, seed: int, *, near: int | None = None, **options: Any) -> Any:
    settings: dict[str, Any] = {"model_id": MODEL, "threshold": 0.7}
    return gallery.search(vector(seed, near=near), **(settings | options))


def names(gallery: Gallery) -> list[str]:
    return [person.name for person in gallery.people()]


def face_crop(skin: str = "medium") -> FaceCrop:
    mesh = drawn_mesh(256)
    return FaceCrop(drawn_face(mesh, 256, skin), mesh)


class MeanColour:
    """A stand-in for a recogniser: what it says depends on the picture, and that is all."""

    def __init__(self, model_id: str = "recognizer-2-bbbb", dimension: int = 12) -> None:
        self.model_id, self.dimension = model_id, dimension
        self.seen = 0

    def embed(self, pixels: np.ndarray, face: Face) -> np.ndarray:
        self.seen += 1
        colour = pixels[60:200, 60:200].reshape(-1, 3).mean(0) / 255
        made = np.cos(np.arange(1, self.dimension + 1) * 9 * colour[0] + colour[1])
        return (made / np.linalg.norm(made)).astype(np.float32)
