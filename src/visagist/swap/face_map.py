"""Where a canonical crop shows the face."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["face_map"]

_FACE = (0.5, 0.545, 0.345, 0.41)
"""Ellipse around the canonical face's oval: centre x and y, half axes, in shares of the side."""
_RIM = 0.12
"""Half the width of its soft rim as a share of the half axes."""


def face_map(side: int, *, scale: float = 1.0) -> Tensor:
    """(1, 1, side, side): 1 where a canonical crop shows the face, 0 outside, soft between.

    Args:
        side: in pixels.
        scale: of the ellipse; below 1 for the middle of the face.
    """
    x, y, a, b = _FACE
    at = (torch.arange(side, dtype=torch.float32) + 0.5) / side
    radius = torch.hypot((at[None] - x) / (a * scale), (at[:, None] - y) / (b * scale))
    return ((1 + _RIM - radius) / (2 * _RIM)).clamp(0, 1)[None, None]
