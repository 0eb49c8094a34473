"""Measure what it costs to keep one wide crop and to cut every training's crop from it.

    python benchmarks/wide_crop.py --data DIR [--json OUT] [--faces 20]

``DIR`` is a labelled tree. Faces are spread evenly over the training people of each folder. The
reference is the crop that a recipe asks for, cut from the photo itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.feed.recrop import decode_crop, recrop, reduction
from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.deploy.machine import machine
from visagist.face.align import align, crop
from visagist.photo import Photo

FOLDERS = ("portraits", "generated", "faces_easy")
WANTED = {"makeup": (288, 1.125), "mesh": (256, 2.2)}
KEPT = (
    (576, 2.25, 95, ("makeup", "mesh")),
    (576, 2.25, 92, ("makeup", "mesh")),
    (576, 2.2, 95, ("makeup", "mesh")),
    (512, 2.25, 95, ("makeup", "mesh")),
    (288, 1.125, 95, ("makeup",)),
    (256, 2.2, 95, ("mesh",)),
)
"""Side, zoom and JPEG quality of a corpus, and whom it can serve."""


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=20, help="of each folder")
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args()
    faces = [face for folder in FOLDERS for face in some(options.data, folder, options.faces)]
    kept: dict[str, dict[str, list[float]]] = {}
    for face in faces:
        for name, figures in measured(face).items():
            for figure, value in figures.items():
                kept.setdefault(name, {}).setdefault(figure, []).append(value)
    report: dict[str, Any] = {
        "machine": machine() | {"opencv": metadata.version("opencv-python-headless")},
        "faces": len(faces),
        "kept": [
            {"side": side, "zoom": zoom, "quality": quality}
            | {
                figure: round(float(np.median(values) if "_" in figure else np.mean(values)), 3)
                for figure, values in kept[f"{side}@{zoom}q{quality}"].items()
            }
            for side, zoom, quality, _ in KEPT
        ],
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


def some(data: Path, folder: str, count: int) -> list[LabelledFace]:
    faces = read_faces(data, folders=[folder], splits=("train",))
    return [faces[int(i)] for i in np.linspace(0, len(faces) - 1, count)]


def measured(face: LabelledFace) -> dict[str, dict[str, float]]:
    """For each way of keeping a face: bytes, and PSNR and sharpness of each training's crop."""
    pixels = Photo.open(face.path).pixels
    wanted = {
        name: crop(pixels, align(face.mesh, side).widened(zoom))
        for name, (side, zoom) in WANTED.items()
    }
    figures = {}
    for side, zoom, quality, trainings in KEPT:
        wide = crop(pixels, align(face.mesh, side).widened(zoom))
        data = Photo.from_array(wide).to_bytes("JPEG", quality=quality)
        row: dict[str, float] = {"kb": len(data) / 1000}
        for name in trainings:
            size, to_zoom = WANTED[name]
            factor = reduction(side, zoom, size=size, to_zoom=to_zoom)
            got = recrop(decode_crop(data, reduce=factor), zoom, size=size, to_zoom=to_zoom)
            error = np.square(got.astype(np.float64) - wanted[name]).mean()
            row[f"{name}_psnr"] = float(10 * np.log10(255**2 / error))
            row[f"{name}_sharpness"] = sharpness(got) / sharpness(wanted[name])
        figures[f"{side}@{zoom}q{quality}"] = row
    return figures


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian in the middle half."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edge = len(luma) // 4
    return float(cv2.Laplacian(luma, cv2.CV_32F)[edge:-edge, edge:-edge].var())


if __name__ == "__main__":
    sys.exit(main())
