"""From a photo to its faces: detect, fit the mesh, drop what is no face, choose."""

from __future__ import annotations

from functools import cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.errors import FaceChoiceError, FaceError
from visagist.face.detect import Detector, default_detector
from visagist.face.detect.boxes import suppress
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Detection, Face

# Picked on validation faces: it keeps 99 % of them and no crop without a face.
MIN_CONFIDENCE = 0.25
# Two meshes are of one face when the boxes around them share more than this part of the smaller.
# Neighbours cheek to cheek share far less; a detector's double detection shares nearly all.
_SAME_FACE = 0.6


class Mesher(Protocol):
    """Fits the 478-point mesh to a detected face."""

    def predict(
        self, pixels: NDArray[np.uint8], detection: Detection
    ) -> tuple[NDArray[np.float32], float]:
        """The (478, 3) float32 mesh in photo pixels and a confidence 0..1."""
        ...


@cache
def default_mesher() -> Mesher:
    """The bundled mesh network; loaded once per process.

    Raises:
        ModelMissingError: its files are not there.
        ModelDamagedError: its files do not match their manifest.
    """
    # imported here so that detection alone needs no mesh network
    from visagist.face.mesh.inference import MeshPredictor  # noqa: PLC0415

    return MeshPredictor.from_pretrained()


def find_faces(
    pixels: NDArray[np.uint8],
    *,
    detector: Detector | None = None,
    mesher: Mesher | None = None,
    min_confidence: float = MIN_CONFIDENCE,
) -> list[Face]:
    """Find every face of a photo and its mesh.

    Args:
        pixels: (H, W, 3) uint8 RGB, upright.
        detector: finds boxes; :func:`~visagist.face.detect.default_detector` when ``None``.
        mesher: fits meshes; the bundled network when ``None``.
        min_confidence: 0..1; faces whose mesh is less certain are dropped, which removes most of
            the detector's false alarms.

    Returns:
        Faces, largest first; empty when there is none. Detections that ended on the same mesh
        count once, the most confident one.

    Raises:
        InputError: the pixels are not uint8 RGB.
        ModelError: a bundled network is missing or damaged.
    """
    detector = default_detector() if detector is None else detector
    detections = detector.detect(pixels)
    if not detections:
        return []
    mesher = default_mesher() if mesher is None else mesher
    faces = []
    for detection in detections:
        try:
            mesh, confidence = mesher.predict(pixels, detection)
        except FaceError:
            continue  # a false alarm at the edge must not cost the photo its other faces
        if confidence >= min_confidence and np.isfinite(mesh).all():
            faces.append(Face(detection, mesh, float(confidence)))
    # the corner breaks ties, so that equal faces keep one order
    return sorted(_without_doubles(faces), key=lambda face: (-face.area, *face.detection.box[:2]))


def choose(faces: list[Face], which: Literal["all", "largest"] | int | str = "all") -> list[Face]:
    """Pick faces from :func:`find_faces`' answer.

    Args:
        faces: largest first.
        which: ``all``, ``largest``, or a position counted from 0 for the largest (also as text,
            as it comes from a command line).

    Returns:
        The chosen faces; ``all`` of none is none.

    Raises:
        FaceChoiceError: there is no such face, or ``which`` is something else.
    """
    if which == "all":
        return list(faces)
    index = 0 if which == "largest" else _position(which)
    if not 0 <= index < len(faces):
        raise FaceChoiceError(f"there is no face {which}: {_how_many(len(faces))}")
    return [faces[index]]


def _position(which: int | str) -> int:
    """The number in ``which``; a bool is not one."""
    if isinstance(which, str):
        if which.isascii() and which.isdigit():
            return int(which)
    elif not isinstance(which, bool):
        return int(which)
    raise FaceChoiceError(f'faces are "all", "largest" or a number from 0, not {which!r}')


def _how_many(count: int) -> str:
    if count == 0:
        return "no face was found in the photo"
    if count == 1:
        return "the photo has 1 face; choose 0, largest or all"
    return f"the photo has {count} faces; choose 0 (largest) to {count - 1}, largest or all"


def _without_doubles(faces: list[Face]) -> list[Face]:
    """One face for every mesh box, the most confident."""
    if not faces:
        return []
    meshes = np.stack([face.mesh[:N_SKIN_POINTS, :2] for face in faces])
    boxes = np.concatenate([meshes.min(1), meshes.max(1)], axis=1).astype(np.float32)
    confidence = np.array([face.confidence for face in faces], np.float32)
    kept = suppress(boxes, confidence, _SAME_FACE, over_smaller=True)
    return [faces[k] for k in kept]
