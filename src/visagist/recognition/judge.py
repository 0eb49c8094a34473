"""The recogniser as a judge of identity for rooms that do not know it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.face.align import align, crop
from visagist.face.identity import Judge
from visagist.recognition.crop import recognition_crop
from visagist.recognition.inference import Recognizer


@cache
def recognition_judge(name_or_dir: str = "recognizer") -> Judge:
    """A function of a picture and its mesh that gives the unit embedding of the face.

    Args:
        name_or_dir: of the recognition model.

    Raises:
        ModelMissingError: there is no such model.
        ModelDamagedError: a file does not match its manifest, or it is no recognition model.
    """
    recognizer = Recognizer.from_pretrained(name_or_dir)

    def embed(pixels: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        return recognizer.embed_view(crop(pixels, recognition_crop(align(mesh))))

    return embed
