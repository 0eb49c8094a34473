"""What a found face is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.face.align import CROP_SIZE, Alignment, align


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as a detector sees it, in photo pixels.

    Attributes:
        box: x0, y0, x1, y1; may leave the photo a little.
        score: 0..1, the detector's confidence.
        points: (5, 2) float32, eye on the image left, eye on the image right, nose tip, mouth
            corner image left, image right; ``None`` when the detector gives boxes only.
    """

    box: tuple[float, float, float, float]
    score: float
    points: NDArray[np.float32] | None = None

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return max(0.0, self.box[2] - self.box[0]) * max(0.0, self.box[3] - self.box[1])


@dataclass(frozen=True, slots=True)
class Face:
    """A face with its mesh, in photo pixels.

    Attributes:
        detection: what the detector said.
        mesh: (478, 3) float32, x right, y down, z in pixels (nearer is smaller);
            the numbering is in :mod:`visagist.face.topology`.
        confidence: 0..1, how sure the mesh network is that it sits on a face.
    """

    detection: Detection
    mesh: NDArray[np.float32]
    confidence: float

    @property
    def area(self) -> float:
        """Area of the mesh's bounding box in square pixels; ``largest`` means this."""
        span = self.mesh[:468, :2].max(0) - self.mesh[:468, :2].min(0)
        return float(span[0] * span[1])

    def alignment(self, size: int = CROP_SIZE) -> Alignment:
        """The canonical alignment of this face."""
        return align(self.mesh, size)
