"""The one way to make a sample: whatever drew or found the face, its figures come from here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.fingerprints import fingerprint
from visagist.corpus.quality import measure
from visagist.corpus.sample import LabelSource, Origin, Sample

_NONE: Mapping[str, object] = MappingProxyType({})
_NO_EXTRAS: Mapping[str, bytes] = MappingProxyType({})


def sample_key(origin: Origin) -> str:
    """16 hexadecimal digits of the SHA-256 of ``SOURCE/ITEM``: the same in every run."""
    name = f"{origin.source}/{origin.item}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).hexdigest()[:16]


def make_sample(
    image: NDArray[np.uint8],
    mesh: NDArray[np.float32],
    origin: Origin,
    *,
    zoom: float,
    matrix: NDArray[np.float64],
    confidence: float,
    labels_from: LabelSource,
    face_width: float,
    parts: NDArray[np.uint8] | None = None,
    extras: Mapping[str, bytes] = _NO_EXTRAS,
    facts: Mapping[str, object] = _NONE,
) -> Sample:
    """A sample with its key, its figures and its fingerprint.

    Args:
        image: (S, S, 3) uint8 RGB aligned crop.
        mesh: (478, 3) float32 in crop pixels.
        origin: where it comes from; source and item make the key.
        zoom: field of view in canonical crops.
        matrix: (2, 3) from photo pixels to crop pixels; for a render the picture is the photo.
        confidence: 0..1, of the mesh.
        labels_from: who made the mesh.
        face_width: width of the face in the photo, in photo pixels.
        parts: (S, S) label map, for the exact covered share; its PNG goes into ``extras``.
        extras: further members by file extension (``parts.png``, ``depth.png``).
        facts: further facts for the index; must be JSON.

    Raises:
        InputError: a wrong shape.
    """
    matrix = np.asarray(matrix, np.float64)
    quality = measure(
        image,
        mesh,
        zoom,
        face_width=face_width,
        turn=float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))),
        parts=parts,
    )
    return Sample(
        key=sample_key(origin),
        image=image,
        mesh=np.asarray(mesh, np.float32),
        origin=origin,
        quality=quality,
        zoom=float(zoom),
        matrix=matrix,
        confidence=round(float(confidence), 6),
        labels_from=labels_from,
        fingerprint=fingerprint(image, zoom),
        extras=extras,
        facts=facts,
    )
