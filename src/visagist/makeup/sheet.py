"""A table of looks: one row a face, one column a style."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from visagist.errors import InputError
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import Style, builtin_styles, load_style

__all__ = ["style_sheet"]

_PAPER = (250, 249, 247)
_INK = (40, 36, 34)
_GAP = 3


def style_sheet(
    faces: Sequence[tuple[NDArray[np.uint8], NDArray[np.floating]]],
    styles: Sequence[Style | str] | None = None,
) -> NDArray[np.uint8]:
    """Every style on every face, the bare face first, with the styles' names above.

    Args:
        faces: pairs of a crop (S, S, 3) uint8 RGB and its mesh (478, 2 or 3) in crop pixels, all
            crops of one size; :func:`visagist.face.align.crop` makes them.
        styles: what to show, by name or as styles; all built-in ones by default.

    Returns:
        (H, W, 3) uint8 RGB, W about S x (styles + 1).

    Raises:
        InputError: there is no face, or the crops differ in size.
        UnknownStyleError: a name is not a built-in style.
    """
    if not faces:
        raise InputError("a style sheet needs at least one face.")
    shape = faces[0][0].shape
    if any(crop.shape != shape for crop, _ in faces):
        raise InputError("all crops of a style sheet must have the same size.")
    names = builtin_styles() if styles is None else styles
    looks = [s if isinstance(s, Style) else load_style(s) for s in names]
    height, width = shape[:2]
    title = max(14, height // 9)
    columns, rows = len(looks) + 1, len(faces)
    size = (columns * (width + _GAP) - _GAP, title + rows * (height + _GAP) - _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=int(title * 0.62))
    for column, name in enumerate(["before", *(look.name for look in looks)]):
        middle = column * (width + _GAP) + width / 2
        draw.text((middle, title / 2), name, _INK, font=font, anchor="mm")
    for row, (crop, mesh) in enumerate(faces):
        top = title + row * (height + _GAP)
        sheet.paste(Image.fromarray(crop), (0, top))
        for column, look in enumerate(looks, start=1):
            made = Image.fromarray(retouch(crop, mesh, look))
            sheet.paste(made, (column * (width + _GAP), top))
    return np.asarray(sheet)
