"""Made pictures with the structure of photographs, and what happens to pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def picture(side=(320, 400), seed=0):
    """Soft shapes, edges and grain, (H, W, 3) uint8."""
    height, width = side
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(random.integers(60, 200, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, r = random.random() * width, random.random() * height, 5 + random.random() * width / 5
        draw.ellipse((x - r, y - r / 2, x + r, y + r / 2), fill=tuple(random.integers(20, 235, 3)))
    image = image.filter(ImageFilter.GaussianBlur(1.5))
    grain = random.normal(0, 2.5, (height, width, 1))
    return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)


def jpeg(pixels, quality):
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


def scaled(pixels, factor):
    size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def screenshot(pixels):
    small = scaled(pixels, 0.85)
    height, width = small.shape[:2]
    desk = np.full((height + 90, width + 120, 3), 236, np.uint8)
    desk[:30] = 50
    desk[41 : 41 + height, 53 : 53 + width] = small
    return jpeg(desk, 80)


ATTACKS = {
    "nothing": lambda p: p,
    "jpeg": lambda p: jpeg(p, 70),
    "smaller": lambda p: scaled(p, 0.6),
    "larger": lambda p: scaled(p, 1.5),
    "left": lambda p: p[:, p.shape[1] // 10 :],
    "right": lambda p: p[:, : -p.shape[1] // 10],
    "top": lambda p: p[p.shape[0] // 10 :],
    "bottom": lambda p: p[: -p.shape[0] // 10],
    "colour": lambda p: np.clip(
        255 * (p / 255.0) ** 0.8 * np.array([1.1, 1.0, 0.9]), 0, 255
    ).astype(np.uint8),
    "grey": lambda p: np.asarray(Image.fromarray(p).convert("L").convert("RGB")),
    "screenshot": screenshot,
}
