"""The recogniser's view of a face: a fixed part of the canonical crop."""

from __future__ import annotations

import numpy as np

from visagist.face.align import CROP_SIZE, Alignment

INPUT_SIZE = 112
"""Side of the view in pixels."""

FIELD = 0.805
"""Width of the view in canonical crops: forehead to chin, ear to ear.

It is the part that dlib's 150x150 face chips show (median over portraits), so that the network can
learn from dlib's.
"""

CENTRE = (0.5, 0.5555)
"""Middle of the view in canonical crops; below the crop's own, since hair tells little."""


def recognition_crop(alignment: Alignment, size: int = INPUT_SIZE) -> Alignment:
    """The recogniser's view, derived from the canonical alignment of a face.

    Args:
        alignment: canonical alignment of a face, at any resolution.
        size: side of the view in pixels.
    """
    matrix = alignment.resized(CROP_SIZE).matrix.copy()
    scale = size / (FIELD * CROP_SIZE)
    matrix *= scale
    matrix[:, 2] += size / 2 - scale * CROP_SIZE * np.array(CENTRE)
    return Alignment(matrix, size)
