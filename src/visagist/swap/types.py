"""What a swap takes and gives: whose face, in whose place, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.face.align import crop
from visagist.face.parser.classes import HAIR
from visagist.face.parser.inference import Parser
from visagist.face.pose import pose
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Face
from visagist.photo import Photo

__all__ = ["Encoder", "Identity", "Limits", "Look", "Reference", "Refused", "SwapResult"]


class Encoder(Protocol):
    """Gives faces the vectors that the network was trained with; a ``Recognizer`` is one.

    Attributes:
        model_id: which recogniser; vectors of two are not comparable.
    """

    model_id: str

    def embed(self, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """Unit vector (D,) float32 of a face of an (H, W, 3) photo."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which faces the network can work on.

    Attributes:
        target_width: least width of a face to replace, in pixels of its photo. Below it a swap
            cannot be seen, and the mesh is too coarse to place it.
        source_width: the same of a face to take the identity from, which must show more.
        yaw: largest turn of the head to a side, in degrees; training pictures end here.
        pitch: largest turn up or down.
    """

    target_width: float = 40.0
    source_width: float = 64.0
    yaw: float = 45.0
    pitch: float = 35.0

    def fault(self, face: Face, *, source: bool = False) -> tuple[str, str] | None:
        """Why a face is refused, as a short name and in words; ``None`` when it is not."""
        x = face.mesh[:N_SKIN_POINTS, 0]
        width, least = float(np.ptp(x)), self.source_width if source else self.target_width
        if width < least:
            return "small", f"the face is {width:.0f} pixels wide, at least {least:.0f} are needed"
        angles = pose(face.mesh)
        for angle, most, told in (
            (angles.yaw, self.yaw, "turned to the side"),
            (angles.pitch, self.pitch, "turned up or down"),
        ):
            if abs(angle) > most:
                return "turned", (
                    f"the face is {told} by {abs(angle):.0f} degrees; "
                    f"the network knows faces up to {most:.0f}"
                )
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture of the source.

    Attributes:
        crop: (S, S, 3) uint8 canonical crop.
        mesh: (478, 3) float32 of the face in it, crop pixels.
        free: (S, S) float32 in 0..1, 0 where hair lies over the face; ``None`` where nobody looked.
    """

    crop: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    free: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        pixels: NDArray[np.uint8],
        face: Face,
        size: int = 256,
        *,
        parser: Parser | None = None,
    ) -> Look:
        """The crop of a face of an (H, W, 3) photo; the parser looks for hair over the face.

        Glasses are part of how somebody looks and come along; a fringe would end in mid-air.
        """
        alignment = face.alignment(size)
        free = None if parser is None else parser.uncovered(pixels, alignment, by=(HAIR,))
        mesh = alignment.to_crop(face.mesh).astype(np.float32)
        return cls(crop(pixels, alignment), mesh, free)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Whose face is put into photos. It is biometric data: faces can be rebuilt from it.

    Attributes:
        vector: (D,) float32 of unit length, the mean over the source pictures.
        constants: (K,) float32, all that the network needs to know of it.
        model_id: the swap model that made the constants.
        encoder_id: the recogniser that made the vector.
        pictures: how many it is the mean of.
        agreement: least cosine between two of the pictures; 1 with one picture.
        looks: the pictures themselves, of which the one in the pose nearest to the target's is laid
            on it.
    """

    vector: NDArray[np.float32]
    constants: NDArray[np.float32]
    model_id: str
    encoder_id: str
    pictures: int
    agreement: float
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The person to replace.

    Attributes:
        vector: (D,) float32 of unit length of a picture of this person.
        threshold: least cosine at which a face is taken for theirs.
    """

    vector: NDArray[np.float32]
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Refused:
    """A face that was left as it is although it was meant.

    Attributes:
        face: the face.
        reason: ``small`` or ``turned``.
        words: what is wrong, for people.
    """

    face: Face
    reason: str
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class SwapResult:
    """A photo with another face.

    Attributes:
        photo: the result, at the size of the input.
        faces: the faces that were replaced, largest first.
        refused: those that were meant and left as they are.
    """

    photo: Photo
    faces: list[Face]
    refused: list[Refused]
