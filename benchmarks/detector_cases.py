"""Pictures for the detector benchmark: labelled faces, turned, shrunk, put together, and no face.

Everything is made from a folder of labelled faces with a fixed seed:
``labels/FOLDER.npz`` with ``image`` (names), ``box`` (x, y, width, height) and ``points5``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
FOLDERS = ("portraits", "london", "generated", "faces_easy", "generated_minors")
# photographs and textures without a face among scikit-image's data files
NO_FACE = (
    "brick.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "horse.png",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture with one labelled face: box (4,) x0, y0, x1, y1 and points (5, 2)."""

    folder: str
    path: Path
    box: NDArray[np.float64]
    points: NDArray[np.float64]

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        with Image.open(self.path) as image:
            return np.asarray(image.convert("RGB"))


@dataclass(frozen=True, slots=True)
class Case:
    """One picture and the faces in it: (N, 4) boxes and (N, 5, 2) points."""

    pixels: Pixels
    boxes: NDArray[np.float64]
    points: NDArray[np.float64]


def load(data: Path, per_folder: int, seed: int) -> list[Labelled]:
    """A fixed sample of labelled pictures."""
    chosen = []
    for folder in FOLDERS:
        file = data / "labels" / f"{folder}.npz"
        if not file.is_file():
            continue
        labels = np.load(file, allow_pickle=False)
        rows = np.random.default_rng(seed).permutation(len(labels["image"]))[:per_folder]
        for row in rows:
            x, y, w, h = labels["box"][row].astype(float)
            chosen.append(
                Labelled(
                    folder,
                    data / folder / str(labels["image"][row]),
                    np.array([x, y, x + w, y + h]),
                    labels["points5"][row].astype(float),
                )
            )
    return chosen


def upright(sample: list[Labelled]) -> Iterator[Case]:
    for item in sample:
        yield Case(item.pixels(), item.box[None], item.points[None])


def tilted(sample: list[Labelled], degrees: float) -> Iterator[Case]:
    """Turned around the face; the box is that of the turned inscribed ellipse."""
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    for k, item in enumerate(sample):
        # half of the pictures turn the other way
        sign = 1 if k % 2 else -1
        matrix = turn if sign > 0 else turn.T
        image = Image.fromarray(item.pixels())
        centre = (item.box[:2] + item.box[2:]) / 2
        turned = image.rotate(
            sign * degrees,
            resample=Image.Resampling.BICUBIC,
            center=tuple(centre),
            fillcolor=(127, 127, 127),
        )
        half = (item.box[2:] - item.box[:2]) / 2
        extent = np.sqrt((matrix**2) @ (half**2))
        points = (item.points - centre) @ matrix.T + centre
        box = np.concatenate([centre - extent, centre + extent])
        yield Case(np.asarray(turned), box[None], points[None])


def shrunk(sample: list[Labelled], face: int, seed: int, side: int = 640) -> Iterator[Case]:
    """The face ``face`` pixels wide at a random place of a ``side`` x ``side`` canvas."""
    rng = np.random.default_rng(seed)
    for item in sample:
        patch, box, points = _patch(item, face)
        canvas = _background(rng, side, side)
        room = side - np.array(patch.size)
        x, y = (int(rng.integers(0, max(1, r + 1))) for r in room)
        canvas.paste(patch, (x, y))
        shift = np.array([x, y])
        yield Case(np.asarray(canvas), (box + np.tile(shift, 2))[None], (points + shift)[None])


def several(sample: list[Labelled], seed: int) -> Iterator[Case]:
    """Four to six faces, 60 to 200 pixels wide, on a 1200 x 800 canvas."""
    rng = np.random.default_rng(seed)
    queue = list(sample)
    while len(queue) >= 6:
        canvas = _background(rng, 1200, 800)
        boxes, points = [], []
        cells = rng.permutation(6)[: rng.integers(4, 7)]
        for cell in cells:
            patch, box, point = _patch(queue.pop(), int(rng.integers(60, 201)))
            x, y = 400 * (cell % 3) + 10, 400 * (cell // 3) + 10
            patch = patch.crop((0, 0, min(patch.width, 380), min(patch.height, 380)))
            canvas.paste(patch, (int(x), int(y)))
            boxes.append(box + np.array([x, y, x, y]))
            points.append(point + np.array([x, y]))
        yield Case(np.asarray(canvas), np.stack(boxes), np.stack(points))


def without_faces(sample: list[Labelled], seed: int) -> Iterator[Case]:
    """Noise and landscapes, pictures with the face taken out, and scikit-image's if installed."""
    rng = np.random.default_rng(seed)
    for k in range(24):
        yield _nothing(_background(rng, 800, 600) if k % 2 else _landscape(rng, 800, 600))
    for item in sample:
        yield _nothing(_face_removed(item))
    for path in _skimage_files():
        with Image.open(path) as image:
            yield _nothing(image.convert("RGB"))


def _skimage_files() -> list[Path]:
    try:
        import skimage  # noqa: PLC0415  (optional: only its data files are used)
    except ImportError:
        return []
    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in NO_FACE if (folder / name).is_file()]


def _nothing(image: Image.Image) -> Case:
    return Case(np.asarray(image), np.zeros((0, 4)), np.zeros((0, 5, 2)))


def _patch(
    item: Labelled, face: int
) -> tuple[Image.Image, NDArray[np.float64], NDArray[np.float64]]:
    """The face with its surroundings (1.9 times the box), scaled to ``face`` pixels of width."""
    image = Image.fromarray(item.pixels())
    centre, side = (item.box[:2] + item.box[2:]) / 2, (item.box[2:] - item.box[:2]).max() * 1.9
    low = np.maximum(np.floor(centre - side / 2), 0)
    high = np.minimum(np.ceil(centre + side / 2), image.size)
    scale = face / (item.box[2] - item.box[0])
    size = tuple(int(v) for v in np.maximum(1, np.round((high - low) * scale)))
    part = image.crop(tuple(int(v) for v in (*low, *high)))
    patch = part.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    factor = np.array(size) / (high - low)
    return patch, (item.box - np.tile(low, 2)) * np.tile(factor, 2), (item.points - low) * factor


def _background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Noise of several scales in a random pair of colours."""
    field = np.zeros((height, width))
    for octave in (4, 8, 16, 32, 64, 128):
        small = Image.fromarray(rng.normal(size=(octave, octave)).astype(np.float32))
        field += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) / octave**0.5
    field = (field - field.min()) / np.ptp(field)
    low, high = rng.integers(0, 256, (2, 3))
    pixels = low + field[:, :, None] * (high - low) + rng.normal(0, 4, (height, width, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _landscape(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A sky, ridges of hills one before the other, and round things such as trees and stones."""
    pixels = np.asarray(_background(rng, width, height)).copy()
    x = np.arange(width)
    rows = np.arange(height)[:, None]
    for level in np.linspace(0.35, 0.9, 4):
        waves = sum(
            rng.normal() * 30 / k * np.sin(k * x / width * 2 * np.pi + rng.uniform(0, 7))
            for k in range(1, 7)
        )
        ridge = rows > height * level + waves
        texture = np.asarray(_background(rng, width, height))
        pixels[ridge] = texture[ridge]
    for _ in range(12):
        cx, cy, r = rng.uniform(0, width), rng.uniform(height * 0.3, height), rng.uniform(10, 60)
        inside = (x - cx) ** 2 + (rows - cy) ** 2 < r * r
        pixels[inside] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))


def _face_removed(item: Labelled) -> Image.Image:
    """The picture with the head blurred beyond recognition and noise on top."""
    pixels = item.pixels()
    height, width = pixels.shape[:2]
    centre, half = (item.box[:2] + item.box[2:]) / 2, (item.box[2:] - item.box[:2]) / 2
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((x - centre[0]) / (half[0] * 1.5), (y - centre[1]) / (half[1] * 1.35))
    ring = pixels[(distance > 1) & (distance < 1.3)]
    colour = ring.mean(0) if len(ring) else pixels.reshape(-1, 3).mean(0)
    rng = np.random.default_rng(width * 10_007 + height)
    fill = colour + rng.normal(0, 12, pixels.shape)
    weight = np.clip((1.15 - distance) / 0.15, 0, 1)[:, :, None]
    return Image.fromarray(np.clip(pixels * (1 - weight) + fill * weight, 0, 255).astype(np.uint8))
