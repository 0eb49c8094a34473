"""A recogniser for whom a picture's colour is a person; some colours are trouble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.makeup.made_face import drawn_mesh
from visagist.errors import CalibrationError, FaceChoiceError, NoFaceError, PoorPictureError
from visagist.face.types import Detection, Face
from visagist.photo import Photo

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (90, 90, 90)
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def picture(path: Path, colour: tuple[int, int, int], *, shade: int = 0) -> Path:
    """A picture of one person; ``shade`` makes another picture of the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 40, 3), colour, np.int16) + shade
    Photo.from_array(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, overwrite=True)
    return path


@dataclass(frozen=True)
class FakeTemplate:
    vector: np.ndarray
    face: Face
    model_id: str


@dataclass(frozen=True)
class FakeThreshold:
    value: float
    rate: float
    gallery_size: int | None
    interval: tuple[float, float] = (0.005, 0.02)
    method: str = "measured"


class FakeCalibration:
    def threshold(self, *, fpir: float, gallery_size: int, extrapolate: bool) -> FakeThreshold:
        if fpir < 0.005 and not extrapolate:
            raise CalibrationError("an FPIR of 0.001 needs 3,000 people")
        return FakeThreshold(0.95, fpir, gallery_size)


class FakeRecognizer:
    """Black shows nobody, white two people, grey is a poor picture of somebody."""

    dimension = 3
    calibrated = True

    def __init__(self, model: str = "recognizer") -> None:
        self.model_id = f"{model}-1-aaaa"
        self.embedded = 0

    @classmethod
    def from_pretrained(cls, model: str = "recognizer", *, threads: int = 1) -> FakeRecognizer:
        return cls(model)

    @property
    def calibration(self) -> FakeCalibration:
        if not self.calibrated:
            raise CalibrationError("the model has no calibration")
        return FakeCalibration()

    def template(self, photo, *, pick=None, gate=True) -> FakeTemplate:
        colour = tuple(int(v) for v in photo.pixels[20, 20])
        if max(colour) < 10:
            raise NoFaceError("no face was found")
        if min(colour) > 245 and pick is None:
            raise FaceChoiceError("the photo shows 2 faces; pick one by its number")
        mesh = drawn_mesh(40)
        face = Face(Detection((0, 0, 40, 40), 1.0), mesh, 1.0)
        return self.template_of(photo.pixels, face, gate=gate)

    def template_of(self, pixels, face, *, gate=True) -> FakeTemplate:
        colour = pixels[20, 20]
        if gate and len(set(colour.tolist())) == 1 and colour[0] < 245:
            raise PoorPictureError("the face is too blurred", reason="blurred")
        return FakeTemplate(self.embed(pixels, face), face, self.model_id)

    def embed(self, pixels, face) -> np.ndarray:
        self.embedded += 1
        middle = pixels.shape[0] // 2
        vector = pixels[middle, middle].astype(np.float32)
        if self.model_id.startswith("other"):
            vector = vector[::-1]
        return vector / np.linalg.norm(vector)
