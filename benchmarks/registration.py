"""How well are before/after pairs registered, what is refused, and what do the gates let through?

    python benchmarks/registration.py --data DIR [--split validation] [--json OUT] [--sheet FILE]

``DIR`` is a labelled tree with ``generated``, ``portraits`` and ``faces_easy``. Pairs are made by
``registration_pairs.py``, so that it is known where each pixel went. Wrong pairs are photos without
makeup, handled the same way; two photos of one person; photos of two people. The limits were picked
on training people; the published numbers are of validation people.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from registration_pairs import Handled, handled

from visagist.amplify.backend import CropFace, Look
from visagist.amplify.gates import GateConfig, Gates, expect
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.register import RegisterConfig, Registration, register_pair
from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.deploy.machine import machine
from visagist.errors import PairError
from visagist.face.align import align, crop
from visagist.face.find import find_faces
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import builtin_styles, load_style
from visagist.photo import Photo
from visagist.photo.sheet import grid
from visagist.recognition.judge import recognition_judge

Pixels = NDArray[np.uint8]
UNSHIPPED = ("FLUX1_dev", "FLUX1_pro", "DALLE3")
OPEN = RegisterConfig(min_likeness=0, min_change=0, over_noise=0)
LIMITS = RegisterConfig()


def main() -> int:
    """Measure and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--pairs", type=int, default=40, help="of the right kind")
    parser.add_argument("--wrong", type=int, default=20, help="of each wrong kind")
    parser.add_argument("--large", type=float, nargs="*", default=[4, 40], help="megapixels")
    parser.add_argument("--only", nargs="*", help="parts; the file keeps the others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--sheet", type=Path, help="the 20 worst right pairs; never publish it")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = read_faces(
        options.data,
        folders=("generated", "portraits"),
        splits=(options.split,),
        without_generators=UNSHIPPED,
    )
    order = np.random.default_rng(options.seed).permutation(len(faces))
    faces = [faces[i] for i in order]
    right, wrong = faces[: options.pairs], faces[: options.wrong]
    parts: dict[str, Callable[[np.random.Generator], Any]] = {
        "right": lambda rng: right_pairs(right, rng, options.sheet),
        "unchanged": lambda rng: unchanged(wrong, rng),
        "another_photo": lambda rng: another_photo(options.data, options.split, options.wrong, rng),
        "two_people": lambda rng: two_people(faces, options.wrong, rng),
        "gates": lambda rng: gates(faces, rng),
        "large": lambda rng: [large(faces, megapixels) for megapixels in options.large],
    }
    result: dict[str, Any] = {}
    if options.json and options.json.is_file():
        result = json.loads(options.json.read_text(encoding="utf-8"))
    result |= {
        "machine": machine(),
        "split": options.split,
        "seed": options.seed,
        "limits": LIMITS.model_dump(),
    }
    for number, name in enumerate(parts):
        if name not in (options.only or parts):
            continue
        result[name] = parts[name](np.random.default_rng([options.seed, number]))
        if options.json:  # after each part, for all of them take their time
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not options.json:
        print(json.dumps(result, indent=2))
    return 0


def right_pairs(
    faces: list[LabelledFace], rng: np.random.Generator, sheet: Path | None
) -> dict[str, Any]:
    """Pairs that must be registered, and how exactly they are."""
    rows, shown = list[dict[str, float]](), list[tuple[float, str, list[Pixels]]]()
    refused = Counter[str]()
    for number, face in enumerate(faces):
        pixels = Photo.open(face.path).pixels
        name = builtin_styles()[number % len(builtin_styles())]
        made = retouch(pixels, face.mesh, load_style(name))
        after = handled(made, face.mesh, rng)
        began = perf_counter()
        try:
            found = register_pair(pixels, after.pixels, name=face.name, config=OPEN)
        except PairError as error:
            refused[error.reason] += 1
            continue
        seconds = perf_counter() - began
        reason = _reason(found)
        if reason:
            refused[reason] += 1
        row, pictures = _errors(pixels, made, after, found)
        rows.append({**row, "seconds": seconds, "passed": float(not reason)})
        shown.append((row["error"], f"{name} {row['error']:.2f} px {reason}", pictures))
        _say(f"right {number + 1}: {name} {row} {reason}")
    if sheet is not None:
        worst = sorted(shown, key=lambda one: -one[0])[:20]
        flat = [p for *_, pictures in worst for p in pictures]
        captions = [c for _, caption, p in worst for c in (caption, *[""] * (len(p) - 1))]
        Image.fromarray(grid(flat, captions, columns=6, cell=160)).save(sheet)
    return {"n": len(faces), "refused": dict(refused), **_quantiles(rows)}


def _errors(
    pixels: Pixels, made: Pixels, after: Handled, found: Registration
) -> tuple[dict[str, float], list[Pixels]]:
    face = find_faces(pixels)[0]
    alignment = align(face.mesh)
    y, x = np.mgrid[:256, :256] + 0.5
    photo = alignment.to_photo(np.column_stack([x.ravel(), y.ravel()])).astype(np.float64)
    truth = after.places(photo).reshape(256, 256, 2)
    region = changed_mask(makeup_masks(found.look.mesh)) > 0.05
    unit = alignment.scale / found.report.scale  # crop pixels for one of the after-picture
    error = np.hypot(*(found.places - truth)[region].T) * unit
    there = align(find_faces(after.pixels)[0].mesh)
    rough = there.inverse[:, :2] @ np.stack([x, y]).reshape(2, -1) + there.inverse[:, 2:]
    by_mesh = np.hypot(*(rough.T.reshape(256, 256, 2) - truth)[region].T) * unit
    wanted = crop(made, alignment)
    off = np.abs(found.look.after.astype(np.float32) - wanted).mean(2)
    known = found.look.valid > 0.9
    change = wanted.astype(np.float32) - crop(pixels, alignment)
    got = found.look.after.astype(np.float32) - found.look.before
    row = {
        "error": float(error.mean()),
        "error_p95": float(np.percentile(error, 95)),
        "error_by_mesh_alone": float(by_mesh.mean()),
        "levels_in_regions": float(off[region & known].mean()),
        "levels_outside": float(off[~region & known].mean()),
        "likeness": found.report.likeness,
        "reported_error": found.report.error,
        "matched": found.report.matched,
        "cast": found.report.cast,
        "change": found.report.change,
        "noise": found.report.noise,
    }
    grey = [np.clip(128 + 2 * c, 0, 255).astype(np.uint8) for c in (change, got)]
    valid = np.repeat(np.rint(found.look.valid * 255).astype(np.uint8)[..., None], 3, 2)
    return row, [found.look.before, found.look.after, wanted, *grey, valid]


def unchanged(faces: list[LabelledFace], rng: np.random.Generator) -> dict[str, Any]:
    """Photos handled the same way, but without makeup."""
    pairs = []
    for face in faces:
        pixels = Photo.open(face.path).pixels
        pairs.append((face.name, pixels, handled(pixels, face.mesh, rng).pixels))
    return _wrong(pairs)


def another_photo(data: Path, split: str, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Neighbouring snapshots of one person, the later one made up."""
    people = defaultdict(list)
    for face in read_faces(data, folders=("faces_easy",), splits=(split,)):
        people[face.identity].append(face)
    neighbours = [pair for shots in people.values() for pair in pairwise(shots)]
    chosen = [neighbours[i] for i in rng.permutation(len(neighbours))[:count]]
    return _wrong([_made_up(*pair, rng) for pair in chosen])


def two_people(faces: list[LabelledFace], count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Photos of two people, the second made up."""
    drawn = [rng.choice(len(faces), 2, replace=False) for _ in range(count)]
    return _wrong([_made_up(faces[i], faces[j], rng) for i, j in drawn])


def _made_up(
    one: LabelledFace, other: LabelledFace, rng: np.random.Generator
) -> tuple[str, Pixels, Pixels]:
    pixels = Photo.open(other.path).pixels
    style = load_style(builtin_styles()[int(rng.integers(len(builtin_styles())))])
    return other.name, Photo.open(one.path).pixels, retouch(pixels, other.mesh, style)


def _wrong(pairs: list[tuple[str, Pixels, Pixels]]) -> dict[str, Any]:
    """How many are refused, and the figures that decide."""
    reasons, rows = Counter[str](), list[dict[str, float]]()
    for name, before, after in pairs:
        try:
            found = register_pair(before, after, name=name, config=OPEN)
        except PairError as error:
            reasons[error.reason] += 1
            continue
        reason = _reason(found)
        reasons[reason or "accepted"] += 1
        report = found.report
        rows.append({"likeness": report.likeness, "change": report.change, "noise": report.noise})
        _say(f"wrong {name}: {rows[-1]} {reason or 'ACCEPTED'}")
    refused = sum(reasons.values()) - reasons["accepted"]
    return {
        "n": len(pairs),
        "refused": refused,
        "reasons": dict(reasons),
        "largest_likeness": max((row["likeness"] for row in rows), default=None),
        **_quantiles(rows),
    }


def _reason(found: Registration) -> str:
    report = found.report
    if report.likeness < LIMITS.min_likeness:
        return "not_the_same"
    if report.change < max(LIMITS.min_change, LIMITS.over_noise * report.noise):
        return "no_change"
    return ""


def gates(faces: list[LabelledFace], rng: np.random.Generator) -> dict[str, Any]:
    """The retoucher's own pictures must pass; pictures with a known fault must not."""
    embed, config = recognition_judge(), GateConfig()
    seen = [_crop_face(face) for face in faces[:25]]
    good, reasons, rows = 0, Counter[str](), list[dict[str, float]]()
    faults: dict[str, list[bool]] = defaultdict(list)
    total = 0
    for name in builtin_styles():
        style = load_style(name)
        looks = []
        for face in seen[:5]:
            after = retouch(face.crop, face.mesh, style)
            valid = np.ones((256, 256), np.float32)
            looks.append(Look(face.key, face.crop, after, face.mesh, valid))
        judge = Gates(expect(looks, embed, config), embed, config)
        for face in seen[5:]:
            made = retouch(face.crop, face.mesh, style)
            verdict = judge.check(face, made, strength=1.0)
            total += 1
            good += not verdict.reasons
            reasons.update(verdict.reasons)
            rows.append(dict(verdict.scores))
        face, other = seen[5 + int(rng.integers(20))], seen[5 + int(rng.integers(20))]
        made = retouch(face.crop, face.mesh, style)
        for fault, (wrong, reason) in _faults(face, other, made).items():
            faults[fault].append(reason in judge.check(face, wrong, strength=1.0).reasons)
    return {
        "limits": config.model_dump(),
        "right": total,
        "right_kept": good,
        "right_reasons": dict(reasons),
        "faults_found": {fault: f"{sum(hit)} of {len(hit)}" for fault, hit in faults.items()},
        "scores": _quantiles(rows, (1, 50, 99)),
    }


def _faults(face: CropFace, other: CropFace, made: Pixels) -> dict[str, tuple[Pixels, str]]:
    """Faulty samples by the fault, and the reason that must be given."""
    allowed = changed_mask(makeup_masks(face.mesh))[..., None]
    change = made.astype(np.float32) - face.crop
    noise = np.zeros_like(change) + np.float32([6, -4, 5])

    def picture(values: NDArray[np.float32]) -> Pixels:
        return np.rint(np.clip(values, 0, 255)).astype(np.uint8)

    return {
        "another face in the regions": (
            picture(face.crop + allowed * (other.crop.astype(np.float32) - face.crop)),
            "identity",
        ),
        "background tinted": (picture(made + (1 - allowed) * noise), "outside"),
        "colours reversed": (picture(face.crop - change), "colour"),
        "a tenth of the strength": (picture(face.crop + change / 10), "no_makeup"),
    }


def _crop_face(face: LabelledFace) -> CropFace:
    pixels = Photo.open(face.path).pixels
    alignment = align(face.mesh)
    return CropFace(face.name, crop(pixels, alignment), alignment.to_crop(face.mesh))


def large(faces: list[LabelledFace], megapixels: float) -> dict[str, Any]:
    """Time and memory of a pair of large photos."""
    face = next(f for f in faces if f.name.startswith("generated"))
    pixels = Photo.open(face.path).pixels
    made = retouch(pixels, face.mesh, load_style("berry"))
    factor = np.sqrt(megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1]))
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    how = cv2.INTER_CUBIC
    before, after = (
        np.asarray(cv2.resize(p, size, interpolation=how), np.uint8) for p in (pixels, made)
    )
    began = process_time()
    found = register_pair(before, after[8:, 16:])
    return {
        "megapixels": megapixels,
        "cpu_seconds": round(process_time() - began, 2),
        "peak_memory_mb_of_the_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "likeness": found.report.likeness,
        "reported_error": found.report.error,
    }


def _quantiles(
    rows: list[dict[str, float]], shares: tuple[int, int, int] = (5, 50, 95)
) -> dict[str, Any]:
    if not rows:
        return {}
    out = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        low, middle, high = np.percentile(values, shares)
        out[name] = {
            "mean": round(float(np.mean(values)), 4),
            f"p{shares[0]}": round(float(low), 4),
            "median": round(float(middle), 4),
            f"p{shares[2]}": round(float(high), 4),
        }
    return out


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
