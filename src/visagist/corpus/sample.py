"""One face of a corpus: the aligned crop, its mesh, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["photo", "generated", "head", "blend"]
LabelSource = Literal["given", "network", "exact"]

SPLITS = ("train", "validation", "test")
# What a picture may teach or test. A source allows some or all of them.
USES = ("detection", "mesh", "parser", "makeup", "swap", "recognition", "generation")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a face comes from and what may be done with it.

    Attributes:
        source: name of the source, unique in a corpus.
        item: the picture inside the source: a relative POSIX path, or the number of a render.
        identity: the person, unique in a corpus; empty where it is not known, and then the picture
            is its own person.
        kind: photograph, generated picture, rendered head, or blend of several people.
        licence: SPDX name or a few words; empty where it is not known.
        generator: what made a generated picture, empty for the others.
        uses: what the picture may be used for, of ``USES``.
        may_show: it may appear in documentation.
        split: train, validation or test where the source fixes it, else empty: then the identity's
            hash decides.
        parents: identities that a blend was made of.
    """

    source: str
    item: str
    identity: str = ""
    kind: Kind = "photo"
    licence: str = ""
    generator: str = ""
    uses: tuple[str, ...] = USES
    may_show: bool = False
    split: str = ""
    parents: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        """The identity; a picture without one is its own person."""
        return self.identity or f"{self.source}/{self.item}"


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of an aligned crop; those of colour are taken on the skin inside the face oval.

    Attributes:
        face_width: width of the face in the photo, in photo pixels.
        sharpness: variance of the Laplacian of the luma (0..255) on the face at 256x256.
        luminance: mean CIE L* of the skin, 0..100.
        contrast: standard deviation of L* on the skin.
        clipped: share of face pixels at 0 or 255 in some channel.
        light_x: L* of the face's image-right half minus its left half.
        light_y: L* of the upper half minus the lower half.
        skin_a: median CIE a* of the skin.
        skin_b: median CIE b* of the skin.
        tone: individual typology angle in degrees, atan((L* - 50) / b*), the usual skin tone scale.
        yaw: degrees, positive when the face turns to the image's right.
        pitch: degrees, positive when the face looks up.
        roll: degrees, positive when the head tilts clockwise in the picture.
        mouth_open: gap between the inner lips divided by the width of the mouth.
        occluded: 0..1, estimated share of the face oval that is covered.
    """

    face_width: float
    sharpness: float
    luminance: float
    contrast: float
    clipped: float
    light_x: float
    light_y: float
    skin_a: float
    skin_b: float
    tone: float
    yaw: float
    pitch: float
    roll: float
    mouth_open: float
    occluded: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One face, ready to be written.

    Attributes:
        key: 16 hexadecimal digits, unique in a corpus and the same in every run.
        image: (S, S, 3) uint8 RGB aligned crop.
        mesh: (478, 3) float32 in crop pixels; z in the same unit, nearer is smaller.
        origin: where it comes from.
        quality: measured figures.
        zoom: field of view in canonical crops: 1 shows the canonical crop, 2 twice its side.
        matrix: (2, 3) float64 from photo pixels to crop pixels.
        confidence: 0..1, of the mesh.
        labels_from: who made the mesh: given with the source, our network, or exact by rendering.
        fingerprint: 64 bits of the crop's appearance, for near-duplicates.
        extras: other members of the sample by file extension: ``parts.png`` (label map of
            :class:`~visagist.face.parts.Part`), ``depth.png``, ``makeup.png`` and so on.
        facts: small further facts for the index's ``facts`` column (JSON): expression, scene.
    """

    key: str
    image: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    origin: Origin
    quality: Quality
    zoom: float
    matrix: NDArray[np.float64]
    confidence: float
    labels_from: LabelSource
    fingerprint: int
    extras: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    facts: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
