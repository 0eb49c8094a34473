"""Make up five generated faces with Pillow's drawing: a look that the retoucher cannot draw.

    python benchmarks/seeds/make_seeds.py --data FOLDER -o PAIRS

FOLDER holds the generated faces that landmarks.json names. A graphic turquoise stripe above the
lids, glitter under the eyes, freckles, lips from dark edges to a bright middle, cheeks through a
look-up table with grain; drawn as vector layers from the outlines in landmarks.json and blended by
Pillow, without any code of visagist. Writes PAIRS/before and PAIRS/after.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Points = list[list[float]]
Blend = Callable[[Image.Image, Image.Image], Image.Image]
LANDMARKS = Path(__file__).parent / "landmarks.json"
FINE = 4
"""Layers are drawn at so many times the size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    for side in ("before", "after"):
        (asked.output / side).mkdir(parents=True, exist_ok=True)
    for name, face in json.loads(LANDMARKS.read_text(encoding="utf-8")).items():
        shutil.copy(asked.data / name, asked.output / "before" / name)
        made = make_up(Image.open(asked.data / name).convert("RGB"), face)
        made.save(asked.output / "after" / name, quality=95, subsampling=0)
        print(asked.output / "after" / name)


def make_up(picture: Image.Image, face: dict[str, Points]) -> Image.Image:
    """One picture, layer over layer."""
    unit = abs(face["lid_left"][0][0] - face["lid_right"][0][0]) / 100
    for product in (cheeks, freckles, lips, stripes, glitter):
        picture = product(picture, face, unit)
    return picture


class Mask:
    """Shapes, drawn fine and softened, that let a colour through."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("L", (size[0] * FINE, size[1] * FINE))
        self.draw = ImageDraw.Draw(self.image)

    def dot(self, x: float, y: float, across: float, down: float) -> None:
        """An ellipse."""
        box = [FINE * v for v in (x - across, y - down, x + across, y + down)]
        self.draw.ellipse(box, fill=255)

    def area(self, points: Points, value: int = 255) -> None:
        """A filled polygon."""
        self.draw.polygon([(FINE * x, FINE * y) for x, y in points], fill=value)

    def line(self, points: Points, width: float) -> None:
        """A line through points."""
        path = [(FINE * x, FINE * y) for x, y in points]
        self.draw.line(path, fill=255, width=round(FINE * width), joint="curve")

    def done(self, blur: float, opacity: float) -> Image.Image:
        """The mask at the picture's size."""
        size = (self.image.width // FINE, self.image.height // FINE)
        soft = self.image.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))
        return soft.point([round(v * opacity) for v in range(256)])


def laid(picture: Image.Image, colour: str, mask: Image.Image, blend: Blend | None) -> Image.Image:
    """A colour blended with what is below, where a mask lets it through."""
    flat = Image.new("RGB", picture.size, colour)
    return Image.composite(blend(picture, flat) if blend else flat, picture, mask)


def lips(picture: Image.Image, face: dict[str, Points], unit: float) -> Image.Image:
    """Dark edges that run into a bright middle; nothing between the lips."""
    whole, middle = Mask(picture.size), Mask(picture.size)
    centre = sum(x for x, _ in face["lips"]) / len(face["lips"])
    for mask, narrow in ((whole, 1.0), (middle, 0.5)):
        for ring, value in (("lips", 255), ("mouth", 0)):
            mask.area([[centre + narrow * (x - centre), y] for x, y in face[ring]], value)
    edge = whole.done(0.8 * unit, 0.85)
    bright = ImageChops.multiply(middle.done(5 * unit, 0.9), edge)
    picture = laid(picture, "#8c1450", edge, ImageChops.multiply)
    return laid(picture, "#ff8a50", bright, ImageChops.overlay)


def stripes(picture: Image.Image, face: dict[str, Points], unit: float) -> Image.Image:
    """A band half way between lid and brow, longer than the eye."""
    mask = Mask(picture.size)
    for side in ("left", "right"):
        lid, brow = face[f"lid_{side}"], face[f"brow_{side}"]
        (x0, y0), (x2, y2) = lid[0], lid[-1]
        a = (x0 + 0.3 * (x0 - x2), y0 - 5 * unit)
        b = (lid[4][0], (lid[4][1] + brow[2][1]) / 2 - 4 * unit)
        c = (x2, y2 - 5 * unit)
        steps = [t / 24 for t in range(25)]
        mask.line(
            [
                [
                    (1 - t) ** 2 * p + 2 * t * (1 - t) * q + t * t * r
                    for p, q, r in zip(a, b, c, strict=True)
                ]
                for t in steps
            ],
            3.5 * unit,
        )
    return laid(picture, "#00b4c8", mask.done(0.35 * unit, 0.85), None)


def glitter(picture: Image.Image, face: dict[str, Points], unit: float) -> Image.Image:
    """Bright dots below the eye, at the same places of every face."""
    rng, mask = random.Random(1), Mask(picture.size)
    spots = [(rng.random(), rng.uniform(2, 10), rng.uniform(0.5, 1.0)) for _ in range(30)]
    for side in ("left", "right"):
        lower = face[f"lower_{side}"]
        for along, down, size in spots:
            x = lower[0][0] + along * (lower[-1][0] - lower[0][0])
            mask.dot(x, lower[4][1] + down * unit, size * unit, size * unit)
    return laid(picture, "#fff4be", mask.done(0.2 * unit, 0.9), ImageChops.screen)


def freckles(picture: Image.Image, face: dict[str, Points], unit: float) -> Image.Image:
    """Brown dots over nose and cheeks, at the same places of every face."""
    rng, mask = random.Random(2), Mask(picture.size)
    tip = face["nose"][1]
    for _ in range(90):
        end = face[rng.choice(["cheek_left", "cheek_right"])][0]
        share, down, size = rng.random(), rng.gauss(0, 6), rng.uniform(0.35, 0.8)
        x = tip[0] + share * (end[0] - tip[0])
        y = tip[1] + 0.6 * share * (end[1] - tip[1]) + down * unit
        mask.dot(x, y, size * unit, size * unit)
    return laid(picture, "#8a5030", mask.done(0.3 * unit, 0.7), ImageChops.multiply)


def cheeks(picture: Image.Image, face: dict[str, Points], unit: float) -> Image.Image:
    """The picture through a look-up table (warmer, less blue) with grain, on the cheeks only."""
    mask = Mask(picture.size)
    for side in ("left", "right"):
        x, y = face[f"cheek_{side}"][0]
        mask.dot(x, y - 4 * unit, 16 * unit, 10 * unit)
    curve = ((1.05, 6), (0.82, 0), (0.7, 0))
    table = [min(255, round(a * v + b)) for a, b in curve for v in range(256)]
    warm = picture.point(table)
    # Fixed grain: Pillow's own noise cannot be seeded.
    grain = Image.frombytes("L", picture.size, random.Random(3).randbytes(warm.width * warm.height))
    grain = grain.point([118 + v * 20 // 255 for v in range(256)]).convert("RGB")
    return Image.composite(ImageChops.soft_light(warm, grain), picture, mask.done(5 * unit, 0.8))


if __name__ == "__main__":
    main()
