"""The protocol of the mesh network: point errors on people it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.corpus.labelled import LabelledFace, sample_faces
from visagist.errors import DataError, PhotoError
from visagist.face.align import Alignment, align, crop
from visagist.face.detect import Detector, default_detector
from visagist.face.find import MIN_CONFIDENCE
from visagist.face.mesh.closeups import Closeups
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.topology import (
    LEFT_EYE,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_EYE,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    RIGHT_IRIS,
)
from visagist.face.types import Detection
from visagist.photo import Photo
from visagist.runtime.store import open_model

FOLDERS = ("portraits", "portraits_grey", "generated", "generated_minors", "faces_easy", "london")
_VIEW = 384
"""Side of the upright picture around a face, 2.5 canonical crops wide, where tests start."""
_FINE = (*LEFT_EYE, *RIGHT_EYE, *LEFT_IRIS, *RIGHT_IRIS, *LIPS_OUTER, *LIPS_INNER)
_SUFFIXES = ("", "_whole", "_fine", "_fine_whole", "_one_pass", "_confidence")


def evaluate(
    data: Path,
    *,
    model: str = "face-mesh",
    closeups: str | None = "mesh-closeups",
    split: str = "test",
    folders: Sequence[str] = FOLDERS,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Point errors in percent of the inter-ocular distance, through the default detector.

    Every face is shown upright, rolled by 30 degrees either way, and with a patch over a part of
    it; what the detector misses is counted, not hidden. A face's error is the median over its
    478 points, and each field is the median (or 90th percentile) over faces. ``_fine`` fields look
    at lids, irises and lips alone, ``_whole`` fields at the mesh without the close-ups.

    Args:
        data: labelled tree.
        model: name or folder of the model.
        closeups: name or folder of the second look at eyes and lips, or nothing.
        split: which people.
        folders: which folders of the tree; those that are missing are left out.
        limit: only so many faces, evenly spread over the sorted names.
        progress: called with faces done and in all.

    Raises:
        DataError: no labelled face is there, or none of their pictures can be read.
    """
    files = open_model(model)
    faces = sample_faces(data, folders=folders, split=split, limit=limit)
    once, twice = MeshPredictor(files, passes=1), MeshPredictor(files, passes=2)
    near = None if closeups is None else Closeups.from_pretrained(closeups)
    detector = default_detector()
    rows: list[dict[str, float]] = []
    wrong: list[float] = []
    skipped: dict[str, str] = {}
    rng = np.random.default_rng(0)
    for done, face in enumerate(faces, 1):
        try:
            rows.append(
                _face(
                    face,
                    detector=detector,
                    once=once,
                    twice=twice,
                    near=near,
                    rng=rng,
                    wrong=wrong,
                )
            )
        except PhotoError as error:
            skipped[face.name] = str(error)
        progress(done, len(faces))
    if not rows:
        raise DataError(f"{data}: no picture of a face could be read: {skipped}")
    report: dict[str, Any] = {
        "model": files.manifest.name,
        "version": files.manifest.version,
        "split": split,
        "n": len(rows),
        "params": files.config.get("params"),
        "gflops": files.config.get("gflops"),
    }
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        seen = values[np.isfinite(values)]
        if name.endswith("_confidence"):
            report[name] = round(float(np.median(seen)), 3)
            continue
        report[f"{name}_percent"] = round(float(np.median(seen)) * 100, 2)
        report[f"{name}_p90_percent"] = round(float(np.quantile(seen, 0.9)) * 100, 2)
        report[f"{name}_missed"] = int((~np.isfinite(values)).sum())
    report["wrong_crop_confidence"] = round(float(np.median(wrong)), 3)
    right = np.array([row["upright_confidence"] for row in rows])
    right = right[np.isfinite(right)]
    # Probability that a face has a higher confidence than a crop without one.
    report["confidence_auc"] = round(float((right[:, None] > np.array(wrong)[None]).mean()), 4)
    report["wrong_accepted"] = round(float((np.array(wrong) >= MIN_CONFIDENCE).mean()), 4)
    report["right_refused"] = round(float((right < MIN_CONFIDENCE).mean()), 4)
    report["skipped"] = skipped
    return report


def _face(
    face: LabelledFace,
    *,
    detector: Detector,
    once: MeshPredictor,
    twice: MeshPredictor,
    near: Closeups | None,
    rng: np.random.Generator,
    wrong: list[float],
) -> dict[str, float]:
    pixels = Photo.open(face.path).pixels
    row: dict[str, float] = {}
    upright = _view_of(face, 0.0)
    rolled = _view_of(face, 30.0 if rng.random() < 0.5 else -30.0)
    for name, alignment, cover in (
        ("upright", upright, False),
        ("roll30", rolled, False),
        ("occluded", upright, True),
    ):
        view, mesh = crop(pixels, alignment).copy(), alignment.to_crop(face.mesh)
        if cover:
            _cover(view, mesh, rng)
        detection = _nearest(detector.detect(view), mesh)
        if detection is None:
            row |= dict.fromkeys((f"{name}{suffix}" for suffix in _SUFFIXES), float("nan"))
            continue
        fitted, confidence = twice.predict(view, detection)
        refined = fitted if near is None else near.refine(view, fitted)
        row[name], row[f"{name}_whole"] = (relative_error(m, mesh) for m in (refined, fitted))
        for suffix, points in (("_fine", refined), ("_fine_whole", fitted)):
            row[f"{name}{suffix}"] = relative_error(points, mesh, _FINE)
        row[f"{name}_one_pass"] = relative_error(once.predict(view, detection)[0], mesh)
        row[f"{name}_confidence"] = confidence
    wrong.append(_off_face(crop(pixels, upright), upright.to_crop(face.mesh), once))
    return row


def relative_error(
    predicted: NDArray[np.float32],
    target: NDArray[np.float32],
    points: Sequence[int] | None = None,
) -> float:
    """Median point error over a face, in inter-ocular distances (between eye centres).

    Args:
        predicted: (478, 3) mesh.
        target: the same of the label.
        points: numbers of those that count; all by default.
    """
    right = target[[RIGHT_EYE_OUTER, RIGHT_EYE_INNER], :2].mean(0)
    left = target[[LEFT_EYE_OUTER, LEFT_EYE_INNER], :2].mean(0)
    distance = float(np.linalg.norm(left - right))
    which = slice(None) if points is None else list(points)
    errors = np.linalg.norm(predicted[which, :2] - target[which, :2], axis=1)
    return float(np.median(errors)) / distance


def _view_of(face: LabelledFace, roll: float) -> Alignment:
    base = align(face.mesh, _VIEW)
    angle = np.deg2rad(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / 2.5
    centre = np.full(2, _VIEW / 2)
    linear = turn @ base.matrix[:, :2]
    offset = turn @ (base.matrix[:, 2] - centre) + centre
    return Alignment(np.concatenate([linear, offset[:, None]], 1), _VIEW)


def _nearest(found: Sequence[Detection], mesh: NDArray[np.float32]) -> Detection | None:
    """The detection whose centre is nearest to the face, if it lies on the face."""
    centre, extent = mesh[:468, :2].mean(0), np.ptp(mesh[:468, :2], axis=0).max()

    def distance(d: Detection) -> float:
        middle = np.array([(d.box[0] + d.box[2]) / 2, (d.box[1] + d.box[3]) / 2])
        return float(np.linalg.norm(middle - centre))

    best = min(found, key=distance, default=None)
    return best if best is not None and distance(best) < extent / 2 else None


def _cover(view: NDArray[np.uint8], mesh: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Paint a tilted bar of one colour over a fifth of the face's width and most of its height."""
    span = np.ptp(mesh[:468, :2], axis=0)
    centre = mesh[:468, :2].mean(0) + rng.uniform(-0.4, 0.4, 2) * span
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: view.shape[0], : view.shape[1]] + 0.5
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = -(x - centre[0]) * np.sin(angle) + (y - centre[1]) * np.cos(angle)
    view[(np.abs(along) < 0.35 * span.max()) & (np.abs(across) < 0.10 * span.max())] = rng.integers(
        0, 256, 3
    )


def _off_face(
    view: NDArray[np.uint8], mesh: NDArray[np.float32], predictor: MeshPredictor
) -> float:
    """Confidence on a crop beside the face, or on the face upside down."""
    x0, y0 = mesh[:468, :2].min(0)
    x1, y1 = mesh[:468, :2].max(0)
    width = x1 - x0
    picture = np.asarray(Image.fromarray(view).rotate(180))
    if int(x0) % 2:
        box = (view.shape[1] - x1, view.shape[0] - y1, view.shape[1] - x0, view.shape[0] - y0)
        return predictor.predict(picture, Detection(tuple(map(float, box)), 1.0))[1]  # type: ignore[arg-type]
    box = (x0 + 1.1 * width, y0, x1 + 1.1 * width, y1)
    return predictor.predict(view, Detection(tuple(map(float, box)), 1.0))[1]  # type: ignore[arg-type]
