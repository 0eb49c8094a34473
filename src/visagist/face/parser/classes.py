"""The parser's classes, and how the label maps of a corpus become them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.parts import Part

CLASSES = ("background", "skin", "lips", "mouth", "eyes", "brows", "hair", "occluder")
"""Names by class number. Up to ``hair`` the numbers are those of :class:`Part`."""
BACKGROUND, SKIN, LIPS, MOUTH, EYES, BROWS, HAIR, OCCLUDER = range(len(CLASSES))
IGNORE = 255
"""Value of pixels whose class is not known; they neither teach nor count."""

# Glasses are one more thing in front of the face, and clothes are one more thing behind it: makeup
# treats them alike, and two classes fewer leave the small network more room for the others.
_CLASS_OF = {part: int(part) for part in Part} | {
    Part.GLASSES: OCCLUDER,
    Part.OCCLUDER: OCCLUDER,
    Part.CLOTHES: BACKGROUND,
}


def _table() -> NDArray[np.uint8]:
    table = np.full(256, IGNORE, np.uint8)
    for part, number in _CLASS_OF.items():
        table[part] = number
    table.setflags(write=False)
    return table


TABLE = _table()
"""(256,) class of each :class:`Part`, :data:`IGNORE` for what is none."""


def to_classes(parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes of a label map of :class:`Part`, same shape; unknown values become IGNORE."""
    return TABLE[parts]
