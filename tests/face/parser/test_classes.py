from __future__ import annotations

import numpy as np

from visagist.face.parser.classes import CLASSES, IGNORE, TABLE, to_classes
from visagist.face.parts import Part


def test_every_part_has_a_class_and_nothing_else_has():
    assert set(np.flatnonzero(TABLE != IGNORE)) == {int(part) for part in Part}
    assert TABLE[[int(part) for part in Part]].max() == len(CLASSES) - 1


def test_glasses_are_occluders_and_clothes_are_background():
    parts = np.array([[Part.GLASSES, Part.OCCLUDER, Part.CLOTHES, Part.HAIR, 77]], np.uint8)
    names = [CLASSES[c] if c != IGNORE else "unknown" for c in to_classes(parts)[0]]
    assert names == ["occluder", "occluder", "background", "hair", "unknown"]
