"""Contact sheets: pictures side by side and in a captioned grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["grid", "side_by_side"]

_GAP = 8
_PAPER = (250, 249, 247)
_INK = (40, 36, 34)


def side_by_side(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two (H, W, 3) pictures of one size beside each other, a white gap between them."""
    gap = np.full((before.shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([before, gap, after], axis=1)


def grid(
    pictures: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    *,
    columns: int,
    cell: int | tuple[int, int],
) -> NDArray[np.uint8]:
    """Pictures fitted into cells of one size, each over its caption.

    Args:
        pictures: (H, W, 3) each; proportions are kept.
        captions: one a picture.
        columns: pictures in a row.
        cell: side of a square cell, or width and height, in pixels.

    Returns:
        (H, W, 3) sheet.
    """
    across, down = (cell, cell) if isinstance(cell, int) else cell
    text_height = max(16, down // 12)
    font = ImageFont.load_default(size=int(text_height * 0.75))
    rows = -(-len(pictures) // columns)
    width = columns * (across + _GAP) + _GAP
    height = rows * (down + text_height + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (pixels, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = _GAP + index % columns * (across + _GAP)
        top = _GAP + index // columns * (down + text_height + _GAP)
        picture = Image.fromarray(pixels)
        scale = min(across / picture.width, down / picture.height)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + (across - size[0]) // 2, top + (down - size[1]) // 2))
        draw.text((left + across / 2, top + down + 1), caption, _INK, font=font, anchor="ma")
    return np.asarray(sheet)
