"""Put a residual of the canonical crop back on the photo, at the photo's own resolution.

Only what changed is resampled and added: the skin's own texture is never synthesised again, and a
pixel whose residual is zero keeps its value bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.face.align import Alignment

_STRIP = 256
"""Rows added at a time: bounds the memory on large photos."""


def paste_residual(
    pixels: NDArray[np.uint8], residual: NDArray[np.float32], alignment: Alignment
) -> NDArray[np.uint8]:
    """Add a crop's residual to a photo.

    Args:
        pixels: (H, W, 3) uint8 photo.
        residual: (S, S, 3) float32 levels to add in crop coordinates; must fall to zero at the
            crop's border.
        alignment: of the crop in the photo, of size S.

    Returns:
        A new (H, W, 3) uint8 photo.
    """
    out = pixels.copy()
    height, width = pixels.shape[:2]
    window = _touched(residual, alignment, width, height)
    if window is None:
        return out
    x0, y0, x1, y1 = window
    reduced, matrix = _reduced(residual, alignment)
    planes = [Image.fromarray(np.ascontiguousarray(reduced[..., c])) for c in range(3)]
    for top in range(y0, y1, _STRIP):
        bottom = min(top + _STRIP, y1)
        # photo pixel (x0 + u, top + v) -> crop pixel
        part = matrix.copy()
        part[:, 2] += matrix[:, :2] @ np.array([x0, top], np.float64)
        size = (x1 - x0, bottom - top)
        target = out[top:bottom, x0:x1]
        for c, plane in enumerate(planes):
            change = np.asarray(
                plane.transform(
                    size, Image.Transform.AFFINE, tuple(part.ravel()), Image.Resampling.BILINEAR
                )
            )
            blended = np.rint(change)
            blended += target[..., c]
            np.clip(blended, 0, 255, out=blended)
            target[..., c] = blended
    return out


def _touched(
    residual: NDArray[np.float32], alignment: Alignment, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Bounding box in the photo of the crop pixels whose residual is not zero."""
    rows, columns = np.nonzero(np.abs(residual).max(2) >= 0.25)
    if rows.size == 0:
        return None
    left, right = columns.min() - 1, columns.max() + 2
    top, bottom = rows.min() - 1, rows.max() + 2
    corners = alignment.to_photo(
        np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    )
    x0, y0 = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(0)), [width, height]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return None
    return int(x0), int(y0), int(x1), int(y1)


def _reduced(
    residual: NDArray[np.float32], alignment: Alignment
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The residual averaged down for faces smaller than the crop, with its photo-to-crop matrix."""
    factor = int(alignment.scale)
    while factor > 1 and residual.shape[0] % factor:
        factor -= 1
    if factor <= 1:
        return residual, alignment.matrix
    side = residual.shape[0] // factor
    small = residual.reshape(side, factor, side, factor, 3).mean((1, 3))
    return small, alignment.matrix / factor
