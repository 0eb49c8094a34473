"""The recogniser's view of a canonical crop, for those who may not import recognition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.align import Alignment, crop

# The recogniser's view of the canonical crop (visagist.recognition.crop, which a room
# beside it may not import; a test keeps them equal).
VIEW, FIELD, CENTRE = 112, 0.805, (0.5, 0.5555)


def identity_view(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(112, 112, 3) the recogniser's view of an (S, S, 3) canonical crop."""
    scale = VIEW / (FIELD * image.shape[0])
    shift = VIEW / 2 - scale * image.shape[0] * np.array(CENTRE)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return crop(image, Alignment(matrix, VIEW))
