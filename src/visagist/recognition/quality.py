"""Is a picture of a face good enough to be recognised? Measured, and refused with the reason.

A threshold is calibrated on pictures of a certain quality and promises nothing about others: on
poorer ones people are missed more often, and an enrolled picture that is poor is missed for as long
as it stays enrolled. Better to ask for another picture than to give an answer that means less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.errors import PoorPictureError
from visagist.face.align import Alignment, crop
from visagist.face.parser.classes import HAIR, OCCLUDER
from visagist.face.parser.inference import Parser
from visagist.face.pose import pose
from visagist.face.regions import outline
from visagist.face.topology import FACE_OVAL, N_SKIN_POINTS
from visagist.face.types import Face
from visagist.photo.colour import rgb_to_lab
from visagist.recognition.crop import recognition_crop

_NOSE_BASE = 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Figures of one face that say how well it can be recognised.

    Attributes:
        face_width: in photo pixels, along the face's own horizontal.
        sharpness: mean absolute Laplacian of the luma over its standard deviation, on the face in
            the recogniser's view at half its size, where noise and compression count little; it
            does not depend on light or contrast.
        luminance: mean L* of the face, 0..100.
        contrast: standard deviation of L* on the face.
        clipped: share of its pixels with every channel at 0, or every channel at 255.
        yaw: degrees, positive when the face turns to the image's right.
        pitch: degrees, positive when the face looks up.
        inside: share of the recogniser's view that lies inside the photo.
        covered: share of the face in front of which something lies; beards do not count.
    """

    face_width: float
    sharpness: float
    luminance: float
    contrast: float
    clipped: float
    yaw: float
    pitch: float
    inside: float
    covered: float


class QualityGate(BaseModel):
    """Limits below which a face is refused; see docs/recognition.md for how they were picked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_face_width: float = Field(
        30, description="photo pixels; narrower faces are enlarged more than three times", ge=0
    )
    min_sharpness: float = Field(0.2, description="see FaceQuality.sharpness", ge=0)
    min_luminance: float = Field(12, description="mean L* of the face, 0..100", ge=0, le=100)
    max_luminance: float = Field(95, description="mean L* of the face, 0..100", ge=0, le=100)
    min_contrast: float = Field(2.5, description="standard deviation of L* on the face", ge=0)
    max_clipped: float = Field(0.35, description="share of the face without detail", ge=0, le=1)
    max_yaw: float = Field(50, description="degrees to either side", ge=0, le=180)
    max_pitch: float = Field(40, description="degrees up or down", ge=0, le=180)
    min_inside: float = Field(0.78, description="share of the view inside the photo", ge=0, le=1)
    max_covered: float = Field(0.3, description="covered share of the face", ge=0, le=1)

    def problem(self, quality: FaceQuality) -> tuple[str, str] | None:
        """The first limit that is not kept, as a short name and a sentence with advice."""
        q = quality
        checks = (
            (
                "too_small",
                q.face_width < self.min_face_width,
                f"the face is {q.face_width:.0f} pixels wide, at least "
                f"{self.min_face_width:.0f} are needed; use a larger picture",
            ),
            (
                "cut_off",
                q.inside < self.min_inside,
                f"{1 - q.inside:.0%} of the face's view lies outside the picture; "
                "use one that shows the whole face",
            ),
            (
                "too_dark",
                q.luminance < self.min_luminance,
                f"the face is too dark (mean L* {q.luminance:.0f}); use a picture in better light",
            ),
            (
                "too_bright",
                q.luminance > self.max_luminance or q.clipped > self.max_clipped,
                f"{q.clipped:.0%} of the face is without detail (mean L* {q.luminance:.0f}); "
                "use a picture with softer light",
            ),
            (
                "too_flat",
                q.contrast < self.min_contrast,
                f"the face has hardly any contrast (L* varies by {q.contrast:.1f}); "
                "use a clearer picture",
            ),
            (
                "too_turned",
                abs(q.yaw) > self.max_yaw or abs(q.pitch) > self.max_pitch,
                f"the face is turned too far ({_turn(q)}); use one that looks at the camera",
            ),
            (
                "covered",
                q.covered > self.max_covered,
                f"{q.covered:.0%} of the face is covered; use a picture without the cover",
            ),
            (
                "too_blurred",
                q.sharpness < self.min_sharpness,
                f"the face is blurred (sharpness {q.sharpness:.2f}, at least "
                f"{self.min_sharpness:.2f} is needed); use a sharper picture",
            ),
        )
        return next(((name, text) for name, failed, text in checks if failed), None)

    def check(self, quality: FaceQuality) -> None:
        """Refuse a poor picture.

        Raises:
            PoorPictureError: the first limit that is not kept; ``reason`` is its short name.
        """
        problem = self.problem(quality)
        if problem is not None:
            raise PoorPictureError(problem[1], reason=problem[0])


def measure(pixels: NDArray[np.uint8], face: Face, parser: Parser) -> FaceQuality:
    """The figures of one face.

    Args:
        pixels: (H, W, 3) uint8 photo.
        face: one of its faces.
        parser: says what covers the face.

    Raises:
        FaceError: the face lies outside the photo, or its mesh has no extent.
    """
    alignment = recognition_crop(face.alignment())
    view = crop(pixels, alignment)
    mesh = alignment.to_crop(face.mesh)
    oval = outline(mesh, FACE_OVAL, *view.shape[:2]) > 0.5
    lightness = rgb_to_lab(view)[..., 0][oval]
    if not lightness.size:  # a mesh folded into nothing: nothing of the face can be seen
        lightness = np.zeros(1, np.float32)
    face_pixels = view[oval]
    blank = (face_pixels == 0).all(-1) | (face_pixels == 255).all(-1)
    angles = pose(face.mesh)
    return FaceQuality(
        face_width=float(np.ptp(mesh[:N_SKIN_POINTS, 0])) / alignment.scale,
        sharpness=_sharpness(view, oval),
        luminance=float(lightness.mean()),
        contrast=float(lightness.std()),
        clipped=float(blank.mean()) if blank.size else 0.0,
        yaw=angles.yaw,
        pitch=angles.pitch,
        inside=_inside(alignment, pixels.shape[:2]),
        covered=_covered(pixels, face, parser),
    )


def _sharpness(view: NDArray[np.uint8], oval: NDArray[np.bool_]) -> float:
    luma = _halved(view.astype(np.float32) @ _LUMA)
    face = _halved(oval.astype(np.float32)) > 0.5
    if not face.any() or (spread := float(luma[face].std())) < 1e-3:
        return 0.0
    padded = np.pad(luma, 1, mode="edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float(np.abs(around - 4 * luma)[face].mean()) / spread


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    side = len(plane) // 2
    return np.asarray(plane.reshape(side, 2, side, 2).mean((1, 3)), np.float32)


def _inside(alignment: Alignment, shape: tuple[int, ...]) -> float:
    """Share of the view inside a photo of (height, width), on a grid of 32x32 places."""
    steps = (np.arange(32) + 0.5) * (alignment.size / 32)
    places = alignment.to_photo(np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2))
    extent = np.array([shape[1], shape[0]])
    return float(((places >= 0) & (places <= extent)).all(1).mean())


def _covered(pixels: NDArray[np.uint8], face: Face, parser: Parser) -> float:
    """Mean probability of a cover on the face oval.

    The parser calls beards hair. Hair therefore counts only above the base of the nose, measured
    along the face; a scarf or a mask is an occluder and counts everywhere.
    """
    shares, alignment = parser.shares(pixels, face.alignment())
    side = shares.shape[1]
    mesh = alignment.to_crop(face.mesh)
    oval = outline(mesh, FACE_OVAL, side, side) > 0.5
    if not oval.any():
        return 1.0
    upper = (np.arange(side) + 0.5)[:, None] < mesh[_NOSE_BASE, 1]
    covers = shares[OCCLUDER] + np.where(upper, shares[HAIR], 0)
    return float(covers[oval].mean())


def _turn(quality: FaceQuality) -> str:
    return f"{abs(quality.yaw):.0f} degrees sideways, {abs(quality.pitch):.0f} up or down"
