"""An engine with the public face of Makeup and no networks: it paints the photo red.

A photo of one colour stands for one without a face, so tests make each kind of photo at will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from visagist.errors import NoFaceError
from visagist.face.types import Detection, Face
from visagist.makeup.inference import Makeup
from visagist.photo import Photo

STYLES = ("rosewood", "smoky")


@dataclass
class FakeResult:
    photo: Photo
    faces: list[Face]
    timings: dict[str, float]


class FakeMakeup:
    """Remembers how it was called."""

    styles = STYLES

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    @classmethod
    def from_pretrained(
        cls, name: str = "makeup-tiny", threads: int = 1, protect: bool = True
    ) -> FakeMakeup:
        return cls()

    def style_code(self, weights: Mapping[str, float]) -> None:
        """Refuses what Makeup refuses, in its words."""
        Makeup.style_code(cast("Makeup", self), weights)

    def apply(self, photo: Photo, **options: Any) -> FakeResult:
        self.calls.append(options)
        if (photo.pixels == photo.pixels[0, 0]).all():
            raise NoFaceError("no face was found; use a photo with a visible face")
        pixels = photo.pixels.copy()
        pixels[..., 0] = 255
        face = Face(Detection((0, 0, 8, 8), 1.0), np.zeros((478, 3), np.float32), 1.0)
        return FakeResult(photo.with_pixels(pixels), [face], {"detect": 1.0, "network": 2.0})
