"""A face drawn with a few ellipses: enough for a detector, and nobody's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter


def drawn_face(
    size: int = 200, *, canvas: tuple[int, int] = (400, 300), at: tuple[int, int] = (100, 40)
) -> NDArray[np.uint8]:
    """A head about 0.8 ``size`` wide whose square starts at ``at``; eyes: :func:`drawn_eyes`."""
    image = Image.new("RGB", canvas, (120, 140, 160))
    draw = ImageDraw.Draw(image)
    s, (left, top) = size / 200, at

    def ellipse(x, y, rx, ry, colour):
        box = (left + (x - rx) * s, top + (y - ry) * s, left + (x + rx) * s, top + (y + ry) * s)
        draw.ellipse(box, fill=colour)

    def line(points, colour, width):
        draw.line(
            [(left + x * s, top + y * s) for x, y in points], colour, max(1, round(width * s))
        )

    ellipse(100, 95, 86, 98, (60, 40, 30))  # hair
    ellipse(100, 112, 68, 88, (224, 178, 150))  # face
    ellipse(100, 150, 40, 45, (216, 168, 140))  # chin
    for x in (70, 130):
        ellipse(x, 98, 17, 12, (190, 140, 115))  # lids
        ellipse(x, 100, 15, 7, (245, 240, 235))
        ellipse(x, 100, 7, 7, (70, 45, 30))
        ellipse(x, 100, 3, 3, (10, 10, 10))
        line([(x - 18, 84), (x, 78), (x + 18, 83)], (70, 45, 35), 5)  # brow
    ellipse(100, 132, 12, 10, (205, 150, 125))  # nose
    ellipse(93, 136, 3, 2, (120, 70, 60))
    ellipse(107, 136, 3, 2, (120, 70, 60))
    line([(94, 100), (91, 130)], (200, 150, 125), 3)
    ellipse(100, 165, 24, 8, (180, 80, 80))  # mouth
    line([(76, 165), (124, 165)], (110, 40, 45), 2)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1.5 * s)))


def drawn_eyes(size: int = 200, *, at: tuple[int, int] = (100, 40)) -> NDArray[np.float64]:
    """(2, 2) eye centres of :func:`drawn_face`, image left first."""
    return np.array(at) + np.array([[70, 100], [130, 100]]) * size / 200
