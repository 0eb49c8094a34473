"""What the 478 mesh points mean: index lists, the mirror pairs and the canonical frontal shape.

The numbering is that of the MediaPipe face mesh (Apache-2.0), so that its labels can teach our
network and its users find their way: points 0..467 are the skin, 468..472 the iris of the
person's right eye (centre first), 473..477 of the left. ``left`` and ``right`` are the person's
own: the right eye is on the left of an unmirrored picture.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

N_POINTS = 478
N_SKIN_POINTS = 468

LIPS_OUTER = (
    0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146, 61, 185, 40, 39, 37,
)  # fmt: skip
LIPS_INNER = (
    13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78, 191, 80, 81, 82,
)  # fmt: skip
LEFT_EYE = (249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263)
RIGHT_EYE = (7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33)
LEFT_BROW = ((293, 334, 296, 336), (276, 283, 282, 295, 285))  # upper, lower polyline
RIGHT_BROW = ((63, 105, 66, 107), (46, 53, 52, 65, 55))
LEFT_IRIS = (474, 475, 476, 477)
RIGHT_IRIS = (469, 470, 471, 472)
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_INNER, LEFT_EYE_OUTER = 362, 263
_NOSE_TIP, _MOUTH_RIGHT, _MOUTH_LEFT = 1, 61, 291


@lru_cache(maxsize=1)
def _template() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    with resources.files(__package__).joinpath("template.npz").open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        points, mirror = data["points"], data["mirror"].astype(np.int64)
        faces = data["triangles"].astype(np.int32)
    for array in (points, mirror, faces):
        array.setflags(write=False)
    return points, mirror, faces


def canonical_points() -> NDArray[np.float32]:
    """The canonical frontal face in the 256x256 crop: (478, 3), x right, y down, z depth.

    A symmetrised Procrustes mean of 1,926 near-frontal training faces, scaled so that the top of
    the mesh (point 10) lies at y = 44 and the chin (point 152) at y = 236, centred on x = 128.
    """
    return _template()[0]


def mirror_index() -> NDArray[np.int64]:
    """(478,) index of each point's mirror image; an involution."""
    return _template()[1]


def triangles() -> NDArray[np.int32]:
    """(898, 3) triangles of the skin points: one sheet without holes, mouth and eyes closed over.

    Those of the canonical face mesh of MediaPipe (Apache-2.0). Its border is ``FACE_OVAL``.
    """
    return _template()[2]


def five_points(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """(5, 2) eye centres, nose tip and mouth corners of a mesh, image left first.

    An eye's centre is the middle of its corners, which a closing lid does not move.
    """
    points = np.asarray(mesh, np.float64)[:, :2]
    right = points[[RIGHT_EYE_OUTER, RIGHT_EYE_INNER]].mean(0)
    left = points[[LEFT_EYE_OUTER, LEFT_EYE_INNER]].mean(0)
    return np.stack([right, left, points[_NOSE_TIP], points[_MOUTH_RIGHT], points[_MOUTH_LEFT]])
