"""A task whose people are noise on a drawn face: each unlike the others, and easy to copy."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.corpus.make import make_sample
from visagist.corpus.sample import Kind, Origin, Sample
from visagist.corpus.task import Item, SkippedItemError

SIDE, ZOOM = 128, 1.125


@dataclass(frozen=True)
class Shot:
    """One picture of the task.

    Attributes:
        name: of the picture.
        looks: seed of what it shows; equal looks are one picture, but for ``change``.
        change: of ``CHANGES``.
        identity: whose picture it says it is.
        split: given split.
        kind: of the picture.
    """

    name: str
    looks: int
    change: str = ""
    identity: str = ""
    split: str = ""
    kind: Kind = "photo"


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def moved(image: np.ndarray, x: float, y: float, turn: float, scale: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn, scale)
    matrix[:, 2] += (x, y)
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def halved(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(image, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


CHANGES = {
    "": lambda image: image,
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "encoded": lambda image: jpeg(image, 40),
    "halved": halved,
    "shifted": lambda image: moved(image, 1.0, -1.0, 1.0, 1.01),
    "grey": lambda image: np.asarray(Image.fromarray(image).convert("L").convert("RGB")),
    "darker": lambda image: (image * 0.7).astype(np.uint8),
    "mirrored, shifted, encoded": lambda image: jpeg(
        moved(np.ascontiguousarray(image[:, ::-1]), -1.0, 1.0, -1.0, 0.99), 60
    ),
}


def picture(looks: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: a drawn face under a veil of smooth noise."""
    draw = np.random.default_rng(looks)
    veil = np.zeros((SIDE, SIDE), np.float32)
    for sigma, strength in ((2.0, 16.0), (6.0, 30.0)):
        noise = cv2.GaussianBlur(draw.normal(size=veil.shape).astype(np.float32), (0, 0), sigma)
        veil += strength * noise / noise.std()
    face = drawn_face(drawn_mesh(SIDE), SIDE).astype(np.float32)
    return np.clip(0.8 * face + veil[..., None] + 20, 0, 255).astype(np.uint8)


class PeopleTask:
    """Makes a sample of every shot; shots named broken cannot be read."""

    def __init__(self, shots: Iterable[Shot]) -> None:
        self.shots = tuple(shots)

    def items(self):
        for shot in self.shots:
            yield Item(f"people/{shot.name}", shot)

    def describe(self):
        names = repr(self.shots).encode()
        return {"task": "people", "shots": hashlib.sha256(names).hexdigest()}

    def prepare(self, item: Item) -> list[Sample]:
        shot: Shot = item.payload
        if "broken" in shot.name:
            raise SkippedItemError("unreadable", "it is broken")
        return [
            make_sample(
                CHANGES[shot.change](picture(shot.looks)),
                drawn_mesh(SIDE),
                Origin("people", shot.name, shot.identity, shot.kind, split=shot.split),
                zoom=ZOOM,
                matrix=np.eye(2, 3),
                confidence=1.0,
                labels_from="exact",
                face_width=80.0,
                extras={"depth.png": b"not looked at"},
                facts={"looks": shot.looks},
            )
        ]


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
