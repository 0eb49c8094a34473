"""The protocol: residuals of the network against the retoucher on people it has never seen."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.labelled import LabelledFace, read_faces, sample_faces
from visagist.errors import DataError, PhotoError
from visagist.face.align import Alignment, align, crop
from visagist.face.identity import Judge, load_judge
from visagist.face.parser.inference import default_parser
from visagist.face.regions import region_masks
from visagist.makeup import metrics
from visagist.makeup.inference import Makeup
from visagist.makeup.retoucher import made_up_mask, residual
from visagist.makeup.style import load_style
from visagist.makeup.zones import PARTS, gain_map
from visagist.photo import Photo
from visagist.runtime.store import open_model

FOLDERS = ("portraits", "generated", "faces_easy", "london")
JUDGE = Path("models") / "mobilefacenet_judge.onnx"
_OPEN_MOUTH = 40
"""Pixels between the lips from which a mouth counts as open."""

Row = dict[str, float]


def evaluate(
    data: Path,
    *,
    model: str = "makeup-tiny",
    split: str = "test",
    folders: Sequence[str] = FOLDERS,
    limit: int | None = None,
    judge: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a makeup model against the retoucher.

    Args:
        data: labelled tree.
        model: name or folder of the model.
        split: which people.
        folders: which folders of the tree; those that are missing are left out.
        limit: only so many faces, evenly spread over the sorted names.
        judge: an ONNX face embedder for ``identity_cosine_drop``; by default the one in the tree's
            ``models`` folder, and without one the field is absent.
        workers: processes.
        progress: called with faces done and in all.

    Returns:
        Means over faces and styles (``psnr``, ``psnr_bare``, ``gain`` and so on, the fields of
        the network alone), ``pipeline`` (after the mesh's gain map), ``protected`` (after that
        and the parser, as users get it; the retoucher itself paints over hair and hands, so
        keeping off them costs here), ``per_style``, ``per_skin_tone``, ``per_folder``, ``worst``
        (names of the 20 worst), and ``skipped`` pictures with the reason.

    Raises:
        DataError: no labelled face is there, or none of their pictures can be read.
    """
    files = open_model(model)
    network = _network(model)
    faces = sample_faces(data, folders=folders, split=split, limit=limit)
    if judge is None and (data / JUDGE).is_file():
        judge = data / JUDGE
    rows: list[tuple[str, str, float, Row]] = []
    skipped: dict[str, str] = {}
    jobs = ((model, face, judge) for face in faces)
    with ProcessPoolExecutor(workers) as pool:
        measured = pool.map(_measured, jobs) if workers > 1 else map(_measured, jobs)
        for done, (face, result) in enumerate(zip(faces, measured, strict=True), 1):
            if isinstance(result, str):
                skipped[face.name] = result
            else:
                rows += result
            progress(done, len(faces))
    if not rows:
        raise DataError(f"{data}: no picture of a face could be read: {skipped}")
    report: dict[str, Any] = mean_rows(r for *_, r in rows)
    stages = {
        stage: {
            k.removeprefix(f"{stage}_"): report.pop(k)
            for k in list(report)
            if k.startswith(f"{stage}_")
        }
        for stage in ("pipeline", "protected")
    }
    return {
        "model": files.manifest.name,
        "version": files.manifest.version,
        "split": split,
        "n": len(faces) - len(skipped),
        "styles": len(network.styles),
        "params": files.config.get("params"),
        "gflops": files.config.get("gflops"),
        **report,
        **stages,
        "per_style": _grouped(rows, lambda row: row[1]),
        "per_skin_tone": _grouped(rows, lambda row: _tone(row[2])),
        "per_folder": _grouped(rows, lambda row: row[0].split("/")[0]),
        "worst": [
            {"face": name, "style": style, "gain": round(r["gain"], 2)}
            for name, style, _, r in sorted(rows, key=lambda row: row[3]["gain"])[:20]
        ],
        "skipped": skipped,
    }


def worst_sheet(
    data: Path, report: Mapping[str, Any], *, model: str = "makeup-tiny", split: str = "test"
) -> NDArray[np.uint8]:
    """The worst cases of a report as rows of bare face, retoucher, network, both residuals.

    Args:
        data: the tree the report was made on.
        report: from :func:`evaluate`.
        model: name or folder of the model it was made with.
        split: which people it was made on.

    Returns:
        A (rows x 256, 5 x 256, 3) picture. It shows the people of the tree: mind their consent.
    """
    network = _network(model)
    cases = report["worst"]
    folders = sorted({case["face"].split("/")[0] for case in cases})
    faces = {f.name: f for f in read_faces(data, folders=folders, splits=(split,))}
    rows = []
    for case in cases:
        face = faces[case["face"]]
        alignment = align(face.mesh, network.size)
        view = crop(Photo.open(face.path).pixels, alignment)
        truth = residual(view, alignment.to_crop(face.mesh), load_style(case["style"]))
        ours = network.residual(view, network.style_code({case["style"]: 1.0}))
        grey = np.full_like(view, 128)
        rows.append(
            [
                view,
                made_up(view, truth),
                made_up(view, ours),
                made_up(grey, truth),
                made_up(grey, ours),
            ]
        )
    return np.concatenate([np.concatenate(row, 1) for row in rows])


@cache
def _network(model: str) -> Makeup:
    return Makeup(open_model(model))


def _measured(
    job: tuple[str, LabelledFace, Path | None],
) -> list[tuple[str, str, float, Row]] | str:
    """Rows of one face, or the reason why there are none; runs in a worker process."""
    model, face, judge = job
    try:
        return _face_rows(_network(model), face, load_judge(judge) if judge else None)
    except PhotoError as error:
        return str(error)


def _face_rows(
    network: Makeup, face: LabelledFace, embed: Judge | None
) -> list[tuple[str, str, float, Row]]:
    photo = Photo.open(face.path)
    alignment = align(face.mesh, network.size)
    view, mesh = crop(photo.pixels, alignment), alignment.to_crop(face.mesh)
    moved = crop(photo.pixels, shifted(alignment))
    regions = region_masks(mesh, network.size)
    gain = gain_map(mesh, network.size, dict.fromkeys(PARTS, 1.0))
    clear = default_parser().uncovered(photo.pixels, alignment)
    tone = metrics.skin_tone(view, regions.skin)
    before = embed(view, mesh) if embed else None
    rows = []
    for name in network.styles:
        style = load_style(name)
        truth = residual(view, mesh, style)
        code = network.style_code({name: 1.0})
        predicted = network.residual(view, code)
        allowed = np.minimum(made_up_mask(mesh, style, network.size) * 20, 1)
        row = compare(view, truth, predicted, allowed)
        row["eyeball_level"] = metrics.level(predicted, regions.eyes)
        if (regions.mouth > 0.5).sum() >= _OPEN_MOUTH:
            row["mouth_level"] = metrics.level(predicted, regions.mouth)
        row["shift_sensitivity"] = metrics.shift_sensitivity(
            network.residual(moved, code), predicted
        )
        for stage, factor in (("pipeline", gain), ("protected", gain * clear)):
            piped = compare(view, truth, predicted * factor[..., None], allowed)
            row |= {f"{stage}_{k}": piped[k] for k in ("psnr", "gain", "gain_in_mask", "leakage")}
        if embed and before is not None:
            after = embed(made_up(view, predicted), mesh)
            ideal = embed(made_up(view, truth), mesh)
            row["identity_cosine_drop"] = float(1 - before @ after)
            row["identity_cosine_drop_truth"] = float(1 - before @ ideal)
        rows.append((face.name, name, tone, row))
    return rows


def shifted(alignment: Alignment) -> Alignment:
    """The crop in which everything lies one pixel further right and down."""
    matrix = alignment.matrix.copy()
    matrix[:, 2] += 1
    return Alignment(matrix, alignment.size)


def made_up(view: NDArray[np.uint8], change: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture with a change in levels on it, rounded and clipped."""
    return np.asarray(np.clip(np.rint(view + change), 0, 255), np.uint8)


def compare(
    view: NDArray[np.uint8],
    truth: NDArray[np.float32],
    predicted: NDArray[np.float32],
    allowed: NDArray[np.float32],
) -> Row:
    """What is reported of one face: a predicted change beside the true one.

    Args:
        view: (H, W, 3) the bare crop.
        truth: (H, W, 3) the change that is wanted, in levels.
        predicted: the same of what is judged.
        allowed: (H, W) 0..1, where a change is no leak.

    Returns:
        ``psnr``, ``psnr_bare``, ``gain``, the same in the mask (where the truth changes more than a
        level), ``ssim``, ``ssim_bare`` and ``leakage``.
    """
    target = np.clip(view + truth, 0, 255)
    result = np.clip(np.rint(view + predicted), 0, 255).astype(np.float32)
    mask = (np.abs(truth).max(2) > 1).astype(np.float32)
    bare = view - target
    error = result - target
    row = {
        "psnr": metrics.psnr(error),
        "psnr_bare": metrics.psnr(bare),
        "psnr_in_mask": metrics.psnr(error, mask),
        "psnr_in_mask_bare": metrics.psnr(bare, mask),
        "ssim": metrics.ssim(result, target),
        "ssim_bare": metrics.ssim(view.astype(np.float32), target),
        "leakage": metrics.leakage(predicted, allowed),
    }
    row["gain"] = row["psnr"] - row["psnr_bare"]
    row["gain_in_mask"] = row["psnr_in_mask"] - row["psnr_in_mask_bare"]
    return row


def mean_rows(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every field over the rows that have a number for it."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            if math.isfinite(value):
                values[name].append(value)
    return {name: round(float(np.mean(v)), 4) for name, v in values.items()}


def _grouped(
    rows: Sequence[tuple[str, str, float, Row]],
    key: Callable[[tuple[str, str, float, Row]], str],
) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row[3])
    return {name: {"rows": len(g), **mean_rows(g)} for name, g in sorted(groups.items())}


def _tone(angle: float) -> str:
    """Skin tone class by typology angle (Chardon et al. 1991), two classes a bin."""
    if not math.isfinite(angle):
        return "unknown"
    return "light" if angle > 41 else "medium" if angle > 10 else "dark"
