"""A face embedder that the user has, as judge of identity in evaluations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.align import Alignment, crop, similarity
from visagist.face.topology import five_points
from visagist.runtime.onnx_scan import refuse_unsafe_onnx
from visagist.runtime.session import make_session

# Five points of the 112x112 crop that published recognisers are trained on.
_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


Judge = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""A picture and its mesh -> the unit embedding of the face."""


@cache
def load_judge(path: Path) -> Judge:
    """Open an ONNX embedder: one input of (1, 3, 112, 112), ImageNet normalisation.

    Returns:
        A function of a picture and its mesh that gives the unit embedding, averaged with that of
        the mirrored crop.

    Raises:
        ModelMissingError: no such file.
        ModelDamagedError: not a self-contained ONNX file with such an input.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelMissingError(f"{path}: cannot be read ({error.strerror})") from error
    refuse_unsafe_onnx(data, str(path))
    session: Any = make_session(data)
    inputs = session.get_inputs()
    if len(inputs) != 1 or list(inputs[0].shape)[1:] != [3, 112, 112]:
        raise ModelDamagedError(f"{path}: not an embedder of 112x112 faces")
    name = inputs[0].name

    def embed(pixels: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        view = crop(pixels, Alignment(similarity(five_points(mesh), _TEMPLATE), 112))
        image = ((view.astype(np.float32) / 255 - _MEAN) / _STD).transpose(2, 0, 1)[None]
        both = [session.run(None, {name: part})[0][0] for part in (image, image[..., ::-1].copy())]
        vector = sum(v / np.linalg.norm(v) for v in both)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    return embed
