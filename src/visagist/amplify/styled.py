"""Held-out people in a learned style: as the amplifier paints them, and the student beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visagist.amplify.amplify import AmplifyConfig
from visagist.amplify.backend import CropFace, Fitted, Look
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.pairset import LABELS, SIDE, ZOOM, read_summary
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import load_faces
from visagist.corpus.feed.selection import select_faces
from visagist.corpus.shards import iterate_samples
from visagist.errors import DataError
from visagist.face.align import CROP_SIZE
from visagist.makeup import metrics
from visagist.makeup.evaluation import compare, mean_rows
from visagist.makeup.inference import Makeup
from visagist.runtime.store import open_model

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

MARGIN = (SIDE - CROP_SIZE) // 2
_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Validation people.

    Attributes:
        targets: (N, 2, 288, 288, 3) bare and as the amplifier makes them up at full strength.
        meshes: (N, 478, 3) in pixels of the canonical crop.
        zoom: field of view of the targets in canonical crops.
    """

    targets: Bytes
    meshes: Floats
    zoom: float = ZOOM


def held_out_faces(
    corpora: Sequence[Path],
    fitted: Fitted,
    most: int,
    path: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> HeldOut:
    """Validation people of corpora in a style, evenly spread; kept in a file.

    Args:
        corpora: folders.
        fitted: the style.
        most: people.
        path: the ``.npz``.
        progress: called with people done and in all.

    Raises:
        DataError: a corpus or the file is damaged, or a corpus has no validation people that fit.
    """
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return HeldOut(stored["targets"], stored["meshes"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(
                f"{path}: damaged ({error}); delete it, and the same command makes it again"
            ) from error
    data = AmplifyConfig().data
    crops, meshes = [], []
    keys: list[str] = []
    for folder in corpora:
        corpus = Corpus.open(folder)
        records = select_faces(corpus, data, splits=("validation",))
        share = -(-most // len(corpora))
        chosen = np.linspace(0, len(records) - 1, min(share, len(records))).astype(int)
        faces = load_faces(corpus, [records[i] for i in chosen], data)
        crops.append(faces.crops)
        meshes.append(faces.meshes - np.array([MARGIN, MARGIN, 0], np.float32))
        keys += faces.keys
    bare, points = np.concatenate(crops), np.concatenate(meshes)
    targets = np.repeat(bare[:, None], 2, 1)
    inner = targets[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    for first in range(0, len(bare), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        views = [np.ascontiguousarray(view) for view in inner[part, 0]]
        change = fitted.render(
            [CropFace(*one) for one in zip(keys[part], views, points[part], strict=True)]
        )
        inner[part, 1] = np.clip(np.rint(inner[part, 0] + change), 0, 255)
        progress(min(first + _TOGETHER, len(bare)), len(bare))
    temporary = path.with_name(f"{path.stem}.part.npz")
    np.savez(temporary, targets=targets, meshes=points)
    temporary.replace(path)
    return HeldOut(targets, points)


def read_strengths(folder: Path) -> Floats:
    """(N,) strength of each sample of a finished set of pairs, in its order.

    Raises:
        DataError: the set is not finished.
    """
    found = [
        float(json.loads(members[LABELS])["strength"])
        for shard in read_summary(folder)["shards"]
        for _, members in iterate_samples(folder / shard)
    ]
    return np.array(found, np.float32)


def report_student(
    model: Path,
    held_out: HeldOut,
    looks: Sequence[Look],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """How near a student comes to its teacher on people that neither has learned from.

    The teacher is no truth: these numbers say what was lost on the way into the small network.
    ``pairs_*`` compare with the pairs themselves, which the amplifier has learned from.

    Args:
        model: folder of the student's model, of one style.
        held_out: people in the teacher's hands.
        looks: the pairs.
        progress: called with people done and in all.
    """
    student = Makeup(open_model(model))
    code = np.ones(1, np.float32)
    rows = []
    edge = slice(MARGIN, -MARGIN)
    for i, (bare, made) in enumerate(held_out.targets):
        view = np.ascontiguousarray(bare[edge, edge])
        truth = made[edge, edge].astype(np.float32) - view
        predicted = student.residual(view, code)
        row = compare(view, truth, predicted, _room(held_out.meshes[i]))
        moved = np.ascontiguousarray(bare[MARGIN - 1 : -MARGIN - 1, MARGIN - 1 : -MARGIN - 1])
        row["shift_sensitivity"] = metrics.shift_sensitivity(
            student.residual(moved, code), predicted
        )
        row["leakage_teacher"] = metrics.leakage(truth, _room(held_out.meshes[i]))
        rows.append(row)
        progress(i + 1, len(held_out.targets))
    seen = []
    for look in looks:
        wanted = (look.after.astype(np.float32) - look.before) * look.valid[..., None]
        predicted = student.residual(look.before, code) * look.valid[..., None]
        seen.append(compare(look.before, wanted, predicted, _room(look.mesh)))
    return {
        "held_out": len(rows),
        **mean_rows(rows),
        **{f"pairs_{k}": v for k, v in mean_rows(seen).items() if k.startswith(("psnr", "gain"))},
    }


def _room(mesh: Floats) -> Floats:
    """Where makeup may be, the soft edges included."""
    return np.minimum(changed_mask(makeup_masks(mesh)) * 20, np.float32(1))
