"""Measure the watermark: what it survives, what it costs, and how often it is seen where none is.

    python benchmarks/marks.py --data DIR [DIR...] [--pictures 16] [--unmarked 1000] [--json OUT]

``DIR`` are folders of pictures (JPEG, PNG, WebP). Pictures are shrunk to each size, never enlarged;
sizes above theirs are sheets of several. Each is marked, written in a format, read back, attacked,
and read blindly. A reading counts where it gives the very id that was written. ``--pictures 0`` or
``--unmarked 0`` leaves a part out, and what ``OUT`` says of it as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.deploy.machine import machine
from visagist.photo import Photo
from visagist.provenance import watermark
from visagist.provenance.registry import content_id

Picture = NDArray[np.uint8]
Attack = Callable[[Picture], Picture]

SIZES = (64, 128, 256, 512, 1024)
"""Pixels on the shorter side."""
FORMATS = {"jpeg": 95, "png": 100, "webp": 95}
ALL_FORMATS_AT = 256
"""The size at which every format is tried; JPEG, the hardest, at all sizes."""
LARGE = 1024
"""From this size on half as many pictures are taken."""
UNMARKED_SIDE = 256


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--pictures", type=int, default=16, help="of each size")
    parser.add_argument("--unmarked", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args()
    paths = [p for folder in options.data for p in sorted(folder.rglob("*")) if _is_picture(p)]
    report: dict[str, Any] = {"machine": machine(), "id_bits": 40}
    if options.pictures:
        rows = [row for size in SIZES for row in survival(paths, size, options.pictures)]
        report["survival"] = rows
    if options.unmarked:
        report["unmarked"] = unmarked(paths, options.unmarked)
    if options.json is None:
        print(json.dumps(report, indent=1))
        return 0
    options.json.parent.mkdir(parents=True, exist_ok=True)
    if options.json.exists():
        report = json.loads(options.json.read_text(encoding="utf-8")) | report
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def attacks() -> dict[str, Attack]:
    """Everything that is done to a marked picture, by name."""
    return {
        "nothing": lambda p: p,
        "JPEG 70": lambda p: jpeg(p, 70),
        "JPEG 50": lambda p: jpeg(p, 50),
        "scaled by 0.6": lambda p: scaled(p, 0.6),
        "scaled by 1.5": lambda p: scaled(p, 1.5),
        "scaled by 0.6, JPEG 70": lambda p: jpeg(scaled(p, 0.6), 70),
        "10 % cut off the left": lambda p: p[:, p.shape[1] // 10 :],
        "10 % cut off the top": lambda p: p[p.shape[0] // 10 :],
        "10 % cut off every side": lambda p: _inner(p, 0.1),
        "warmer, brighter, gamma 0.8": lambda p: tone(p, 0.8, (1.1, 1.04, 0.94)),
        "contrast 1.2, grey": lambda p: grey(tone(p, 1.0, (1.2, 1.2, 1.2), pivot=128.0)),
        "screenshot": screenshot,
    }


def survival(paths: list[Path], size: int, count: int) -> Iterator[dict[str, Any]]:
    """One row for each format: how many of the pictures can still be read after each attack."""
    formats = FORMATS if size == ALL_FORMATS_AT else {"jpeg": FORMATS["jpeg"]}
    read: dict[str, dict[str, int]] = {name: dict.fromkeys(attacks(), 0) for name in formats}
    psnr, embed_s, read_s = [], [], []
    wrong = 0
    pictures = list(sized(paths, size, count if size < LARGE else max(1, count // 2)))
    for picture in pictures:
        mark_id = content_id(picture.tobytes(), "benchmark")
        start = time.process_time()
        marked = watermark.embed(picture, mark_id)
        embed_s.append(time.process_time() - start)
        psnr.append(marked.psnr)
        for name, quality in formats.items():
            written = Photo.from_array(marked.pixels).to_bytes(name, quality=quality)
            opened = Photo.open(written).pixels
            for attack, apply in attacks().items():
                attacked = apply(opened)
                start = time.process_time()
                found = watermark.read(attacked)
                read_s.append(time.process_time() - start)
                read[name][attack] += found is not None and found.mark_id == mark_id
                wrong += found is not None and found.mark_id != mark_id
    for name, counts in read.items():
        yield {
            "size": size,
            "format": name,
            "pictures": len(pictures),
            "read": counts,
            "wrong": wrong,
            "psnr_mean": round(float(np.mean(psnr)), 2),
            "psnr_least": round(float(np.min(psnr)), 2),
            "embed_seconds": round(float(np.median(embed_s)), 3),
            "read_seconds": round(float(np.median(read_s)), 3),
            "megapixels": round(pictures[0].shape[0] * pictures[0].shape[1] / 1e6, 3),
        }


def unmarked(paths: list[Path], count: int) -> dict[str, Any]:
    """How many pictures without a mark seem to carry one."""
    found = 0
    chosen = spread(paths, count)
    for path in chosen:
        found += watermark.read(shrunk(Photo.open(path).pixels, UNMARKED_SIDE)) is not None
    bound = 3.0 / len(chosen) if found == 0 else None  # the rule of three, 95 %
    return {"pictures": len(chosen), "found": found, "rate_at_most": bound}


def sized(paths: list[Path], size: int, count: int) -> Iterator[Picture]:
    """Pictures with ``size`` pixels on the shorter side; sheets of several if none is so large."""
    chosen = spread(paths, 8 * count)
    large = [p for p in chosen if min(Image.open(p).size) >= size]
    if len(large) >= count:
        for path in spread(large, count):
            yield shrunk(Photo.open(path).pixels, size)
        return
    rows = 2
    while len([p for p in chosen if min(Image.open(p).size) >= size // rows]) < count:
        rows *= 2
    parts = [p for p in chosen if min(Image.open(p).size) >= size // rows]
    for number in range(count):
        some = [parts[(number * rows**2 + i) % len(parts)] for i in range(rows**2)]
        cells = [_square(Photo.open(p).pixels, size // rows) for p in some]
        yield np.concatenate(
            [np.concatenate(cells[row * rows : (row + 1) * rows], 1) for row in range(rows)], 0
        )


def spread(paths: list[Path], count: int) -> list[Path]:
    """``count`` of them at equal distances; all, if there are not so many."""
    if len(paths) <= count:
        return list(paths)
    return [paths[round(i * (len(paths) - 1) / max(1, count - 1))] for i in range(count)]


def shrunk(pixels: Picture, side: int) -> Picture:
    """``side`` pixels on the shorter side, if it has more."""
    factor = side / min(pixels.shape[:2])
    return pixels if factor >= 1.0 else scaled(pixels, factor, Image.Resampling.LANCZOS)


def scaled(
    pixels: Picture, factor: float, how: Image.Resampling = Image.Resampling.BICUBIC
) -> Picture:
    """Resampled."""
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, how))


def jpeg(pixels: Picture, quality: int) -> Picture:
    """Through a JPEG with halved colour, as most programs write it."""
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(out).convert("RGB"))


def tone(
    pixels: Picture, gamma: float, gains: tuple[float, float, float], pivot: float = 0.0
) -> Picture:
    """Gamma, then a factor for each colour about a level."""
    curve = 255.0 * (pixels / 255.0) ** gamma
    return np.clip((curve - pivot) * np.array(gains) + pivot, 0, 255).astype(np.uint8)


def grey(pixels: Picture) -> Picture:
    """Without colour."""
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def screenshot(pixels: Picture) -> Picture:
    """Shown at 85 % inside a window with a title bar, on a light desk, saved as JPEG 80."""
    small = scaled(pixels, 0.85, Image.Resampling.BILINEAR)
    height, width = small.shape[:2]
    desk = np.full((height * 5 // 4 + 70, width * 4 // 3 + 40, 3), 236, np.uint8)
    desk[:34] = 52
    top, left = 45, width // 6
    desk[top : top + height, left : left + width] = small
    return jpeg(desk, 80)


def _inner(pixels: Picture, share: float) -> Picture:
    down, right = round(pixels.shape[0] * share), round(pixels.shape[1] * share)
    return pixels[down : pixels.shape[0] - down, right : pixels.shape[1] - right]


def _square(pixels: Picture, side: int) -> Picture:
    small = shrunk(pixels, side)
    return small[:side, :side]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}


if __name__ == "__main__":
    raise SystemExit(main())
