"""Box arithmetic in numpy: overlap, non-maximum suppression, squares. All work on zero boxes.

Boxes are (N, 4) float arrays of x0, y0, x1, y1 edges, without the "+1" of integer conventions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def area(boxes: FloatArray) -> FloatArray:
    """(N,) areas; boxes turned inside out have none."""
    sides = np.maximum(boxes[:, 2:4] - boxes[:, 0:2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def overlap(box: FloatArray, boxes: FloatArray, *, over_smaller: bool = False) -> FloatArray:
    """(N,) overlap of one (4,) box with (N, 4) boxes, 0..1.

    Args:
        box: the one.
        boxes: the others.
        over_smaller: divide the intersection by the smaller of the two areas instead of the
            union, so that a box inside another one counts as the same face.
    """
    low = np.maximum(box[0:2], boxes[:, 0:2])
    high = np.minimum(box[2:4], boxes[:, 2:4])
    sides = np.maximum(high - low, 0)
    shared = sides[:, 0] * sides[:, 1]
    own, others = area(box[None])[0], area(boxes)
    whole = np.minimum(own, others) if over_smaller else own + others - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), np.float32)


def suppress(
    boxes: FloatArray,
    scores: FloatArray,
    limit: float,
    *,
    over_smaller: bool = False,
    keep_at_most: int | None = None,
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4).
        scores: (N,).
        limit: boxes overlapping a kept one by more than this are dropped.
        over_smaller: see :func:`overlap`.
        keep_at_most: stop after this many; ``None`` keeps all.

    Returns:
        Indices of the boxes kept, best score first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[order, 0:2], boxes[order, 2:4]
    areas = area(boxes)[order]
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    for best in range(len(order)):
        if not alive[best]:
            continue
        kept.append(best)
        if keep_at_most is not None and len(kept) >= keep_at_most:
            break
        rest = slice(best + 1, None)
        sides = np.maximum(np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest]), 0)
        shared = sides[:, 0] * sides[:, 1]
        if over_smaller:
            whole = np.minimum(areas[best], areas[rest])
        else:
            whole = areas[best] + areas[rest] - shared
        alive[rest] &= shared <= limit * np.maximum(whole, 1e-9)
    return order[np.array(kept, np.intp)]


def squared(boxes: FloatArray) -> FloatArray:
    """Boxes grown along their shorter side to squares with the same centre."""
    centre = (boxes[:, 0:2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, 0:2]).max(1, keepdims=True, initial=0) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def shifted(boxes: FloatArray, shifts: FloatArray) -> FloatArray:
    """Move each edge by a share of the box's own width or height; ``shifts`` is (N, 4)."""
    sides = boxes[:, 2:4] - boxes[:, 0:2]
    return np.asarray(boxes + shifts * np.concatenate([sides, sides], axis=1), np.float32)
