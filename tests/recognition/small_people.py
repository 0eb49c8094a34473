"""A corpus of a few drawn people with two pictures each, and others with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.corpus.small_corpus import drawn_sample, write_corpus

NETWORK: dict[str, Any] = {
    "stem": 8,
    "widths": [8, 16],
    "blocks": [1, 2],
    "ranks": [0, 0],
    "embedding": 16,
}
DATA: dict[str, Any] = {"use": "recognition", "size": 64, "zoom": 1.06}


def people_corpus(root: Path, *, known: int = 4, single: int = 5, held_out: int = 3) -> Path:
    """``known`` people with two pictures and ``single`` ones with one train; the rest validate."""
    faces, number = [], 0
    for person in range(known + held_out):
        for _ in range(2):
            split = "train" if person < known else "validation"
            faces.append((drawn_sample(number, identity=f"drawn/p{person}"), split))
            number += 1
    for _ in range(single):
        kind = "generated" if number % 2 else "photo"
        faces.append((drawn_sample(number, identity="", kind=kind), "train"))
        number += 1
    return write_corpus(root, faces)
