"""How does recognition suffer from poor pictures? The limits of the quality gate come from this.

    python benchmarks/quality_gate.py --data DIR [--model NAME] [--json OUT] [--pairs 40]

``DIR`` is a labelled tree with ``portraits_pairs.csv``. Training and validation people are enrolled
with one photograph and searched with another one that is made poorer step by step. The threshold is
the one for a false accept rate of 1 % on undamaged pictures and stays where it is, as it would for
a user. Every step goes through detection and mesh anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from visagist.corpus.labelled import read_splits
from visagist.deploy.machine import machine
from visagist.face.find import find_faces
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.photo.colour import linear_to_srgb, srgb_to_linear
from visagist.recognition.crop import recognition_crop
from visagist.recognition.inference import Recognizer
from visagist.recognition.quality import measure
from visagist.recognition.rates import far_threshold

Pixels = NDArray[np.uint8]
Damage = Callable[[Pixels, Face], Pixels]


def narrowed(width: float) -> Damage:
    """The photo reduced until the face is ``width`` pixels wide."""

    def damage(pixels: Pixels, face: Face) -> Pixels:
        scale = width / np.ptp(face.mesh[:N_SKIN_POINTS, 0])
        size = [max(16, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
        return np.asarray(Image.fromarray(pixels).resize(tuple(size), Image.Resampling.LANCZOS))

    return damage


def blurred(sigma: float) -> Damage:
    """Gaussian blur of ``sigma`` pixels of the recogniser's view."""

    def damage(pixels: Pixels, face: Face) -> Pixels:
        radius = sigma / recognition_crop(face.alignment()).scale
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))

    return damage


def exposed(gain: float) -> Damage:
    """Light times ``gain``, rounded to bytes again."""
    return lambda pixels, _: _bytes(linear_to_srgb(srgb_to_linear(pixels) * np.float32(gain)))


def flattened(contrast: float) -> Damage:
    """Contrast around the middle grey times ``contrast``, as haze does."""
    return lambda pixels, _: _bytes(0.5 + (pixels.astype(np.float32) / 255 - 0.5) * contrast)


def cut(share: float) -> Damage:
    """The left ``share`` of the recogniser's view lies outside the photo."""

    def damage(pixels: Pixels, face: Face) -> Pixels:
        view = recognition_crop(face.alignment())
        edge = view.to_photo(np.array([[share * view.size, view.size / 2]]))[0, 0]
        return np.ascontiguousarray(pixels[:, max(0, round(float(edge))) :])

    return damage


def masked(top: float) -> Damage:
    """A pale blue mask from ``top`` of the face's height (0 brow, 1 chin) downwards."""

    def damage(pixels: Pixels, face: Face) -> Pixels:
        low, high = face.mesh[152, :2], face.mesh[9, :2]
        side = (face.mesh[454, :2] - face.mesh[234, :2]) * 0.5
        middle = high + (low - high) * top
        corners = [middle - side, middle + side, low + side * 0.6, low - side * 0.6]
        image = Image.fromarray(pixels)
        ImageDraw.Draw(image).polygon([tuple(map(float, c)) for c in corners], (150, 190, 215))
        return np.asarray(image)

    return damage


STEPS: dict[str, tuple[tuple[float, Damage], ...]] = {
    "narrowed": tuple((w, narrowed(w)) for w in (64, 48, 40, 32, 24, 16)),
    "blurred": tuple((s, blurred(s)) for s in (1, 2, 3, 4, 6)),
    "exposed": tuple((g, exposed(g)) for g in (4, 2, 0.1, 0.03, 0.01)),
    "flattened": tuple((c, flattened(c)) for c in (0.3, 0.1, 0.05)),
    "cut": tuple((c, cut(c)) for c in (0.1, 0.2, 0.3, 0.4)),
    "masked": tuple((t, masked(t)) for t in (0.75, 0.5, 0.25)),
}


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="recognizer")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args()
    recognizer = Recognizer.from_pretrained(options.model)
    pairs = list(mated(options.data))[: options.pairs]
    enrolled = np.stack([_vector(recognizer, Photo.open(one).pixels) for one, _ in pairs])
    probes = [Photo.open(other).pixels for _, other in pairs]
    faces = [find_faces(pixels)[0] for pixels in probes]
    clean = step(recognizer, enrolled, probes)
    threshold = far_threshold(_impostor(clean["scores"]), 0.01)
    rows = [row("none", 0, clean, threshold)]
    for kind, steps in STEPS.items():
        for amount, damage in steps:
            damaged = [damage(p, f) for p, f in zip(probes, faces, strict=True)]
            rows.append(row(kind, amount, step(recognizer, enrolled, damaged), threshold))
            print(json.dumps(rows[-1]), file=sys.stderr)
    report = {
        "machine": machine(),
        "model_id": recognizer.model_id,
        "pairs": len(pairs),
        "threshold": round(threshold, 4),
        "steps": rows,
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def mated(data: Path) -> Iterator[tuple[Path, Path]]:
    """Two photographs of each person who is not a test person."""
    splits = read_splits(data / "splits.csv")
    with (data / "portraits_pairs.csv").open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            if splits[line["portraits"]][1] != "test":
                yield data / line["portraits"], data / line["portraits_grey"]


def step(
    recognizer: Recognizer, enrolled: NDArray[np.float32], pictures: list[Pixels]
) -> dict[str, Any]:
    """Scores of every picture against every enrolled one, and the medians of the quality."""
    scores = np.full((len(pictures), len(enrolled)), np.nan)
    figures, refused = [], 0
    for i, pixels in enumerate(pictures):
        found = find_faces(pixels)
        if not found:
            continue
        quality = measure(pixels, found[0], recognizer.parser)
        figures.append(list(asdict(quality).values()))
        refused += recognizer.gate.problem(quality) is not None
        scores[i] = enrolled @ recognizer.embed(pixels, found[0])
        names = list(asdict(quality))
    medians = np.median(np.abs(figures), axis=0) if figures else []
    return {
        "scores": scores,
        "refused": refused,
        "quality": dict(zip(names, np.round(medians, 3).tolist(), strict=True)) if figures else {},
    }


def row(kind: str, amount: float, found: dict[str, Any], threshold: float) -> dict[str, Any]:
    """One line of the table."""
    seen = np.isfinite(found["scores"]).all(1)
    genuine = np.diag(found["scores"])[seen]
    impostor = _impostor(found["scores"])
    return {
        "damage": kind,
        "amount": amount,
        "found": int(seen.sum()),
        "refused": found["refused"],
        "tar": round(float((genuine > threshold).mean()), 3) if seen.any() else None,
        "far": round(float((impostor > threshold).mean()), 4) if seen.any() else None,
        "quality": found["quality"],
    }


def _impostor(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = np.isfinite(scores).all(1)
    return scores[seen][~np.eye(len(scores), dtype=bool)[seen]]


def _vector(recognizer: Recognizer, pixels: Pixels) -> NDArray[np.float32]:
    return recognizer.embed(pixels, find_faces(pixels)[0])


def _bytes(values: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
