"""Put what was made in the canonical crop back on the photo, at the photo's own resolution.

Either a residual, of which only what changed is resampled and added, so that the skin's own texture
is never synthesised again; or a new picture under a mask. In both cases a pixel that is not meant
keeps its value bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.face.align import Alignment

_STRIP = 64
"""Rows added at a time: bounds the memory on large photos, and stays inside the caches."""

_UNSEEN = 1 / 512
"""A share below this moves no pixel by half a level."""


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
    touched = np.abs(residual).max(2) >= 0.25
    for target, changes in _strips(out, residual, touched, alignment, Image.Resampling.BILINEAR):
        for channel, change in enumerate(changes):
            # rounded before it is added: half a level must not depend on what it is added to
            _write(target[..., channel], np.rint(change) + target[..., channel])
    return out


def paste_crop(
    pixels: NDArray[np.uint8],
    image: NDArray[np.float32],
    mask: NDArray[np.float32],
    alignment: Alignment,
) -> NDArray[np.uint8]:
    """Lay a crop over a photo where its mask says so.

    Args:
        pixels: (H, W, 3) uint8 photo.
        image: (S, S, 3) levels 0..255 in crop coordinates.
        mask: (S, S) share of the new picture, 0..1; must fall to zero at the crop's border.
        alignment: of the crop in the photo, of size S.

    Returns:
        A new (H, W, 3) uint8 photo.
    """
    out = pixels.copy()
    # Premultiplied: what lies outside the mask must not bleed in when it is resampled.
    layers = np.concatenate([image * mask[..., None], mask[..., None]], 2)
    for target, parts in _strips(out, layers, mask > _UNSEEN, alignment, Image.Resampling.BICUBIC):
        # Bicubic weights overshoot, which outside of the mask would be a halo.
        share = parts[3]
        cover = np.where(share > _UNSEEN, np.clip(share, 0, 1), np.float32(0))
        scale = np.divide(cover, share, out=np.zeros_like(share), where=share > _UNSEEN)
        for channel, part in enumerate(parts[:3]):
            before = target[..., channel]
            _write(before, before + (part * scale - cover * before))
    return out


def _strips(
    out: NDArray[np.uint8],
    layers: NDArray[np.float32],
    touched: NDArray[np.bool_],
    alignment: Alignment,
    how: Image.Resampling,
) -> Iterator[tuple[NDArray[np.uint8], list[NDArray[np.float32]]]]:
    """Views of the photo where a crop falls on it, each with the crop's C layers in its pixels.

    Args:
        out: (H, W, 3) photo; the views are into it.
        layers: (S, S, C) float32.
        touched: (S, S) pixels of the crop that count.
        alignment: of the crop in the photo.
        how: resampling filter.
    """
    window = _window(touched, alignment, out.shape[1], out.shape[0])
    if window is None:
        return
    x0, y0, x1, y1 = window
    reduced, matrix = _reduced(layers, alignment)
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(reduced, 2, 0)]
    for top in range(y0, y1, _STRIP):
        bottom = min(top + _STRIP, y1)
        # photo pixel (x0 + u, top + v) -> crop pixel
        part = matrix.copy()
        part[:, 2] += matrix[:, :2] @ np.array([x0, top], np.float64)
        size, to_crop = (x1 - x0, bottom - top), tuple(part.ravel())
        warped = [p.transform(size, Image.Transform.AFFINE, to_crop, how) for p in planes]
        yield out[top:bottom, x0:x1], [np.asarray(w) for w in warped]


def _write(target: NDArray[np.uint8], levels: NDArray[np.floating]) -> None:
    np.rint(levels, out=levels)
    target[...] = np.clip(levels, 0, 255, out=levels)


def _window(
    touched: NDArray[np.bool_], alignment: Alignment, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Bounding box in the photo of the crop pixels that count."""
    rows, columns = np.nonzero(touched)
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
    layers: NDArray[np.float32], alignment: Alignment
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Layers averaged down for faces smaller than the crop, with their photo-to-crop matrix."""
    factor = int(alignment.scale)
    while factor > 1 and layers.shape[0] % factor:
        factor -= 1
    if factor <= 1:
        return layers, alignment.matrix
    side = layers.shape[0] // factor
    small = layers.reshape(side, factor, side, factor, -1).mean((1, 3))
    return small, alignment.matrix / factor
