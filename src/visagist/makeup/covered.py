"""Does makeup stay off what lies in front of a face? Known covers over photos of unknown people.

Hair strands, glasses, hands, hats and other things are drawn over test faces, so that every
covered pixel is known. The figure is the mean change that makeup makes to those that the mesh
would paint, with the parser and without it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.labelled import LabelledFace, sample_faces
from visagist.errors import DataError, FaceError, PhotoError
from visagist.face.align import Alignment, align, crop
from visagist.face.parser.classes import HAIR, SKIN
from visagist.face.parser.inference import Parser
from visagist.face.parser.labels import face_labels
from visagist.face.parser.overlays import Canvas, compose, draw
from visagist.makeup.inference import Makeup
from visagist.makeup.zones import PARTS, gain_map
from visagist.photo import Photo
from visagist.runtime.store import open_model

FOLDERS = ("portraits", "generated", "faces_easy", "london")
_WIDE = 2.0
"""Side of the picture that covers are drawn on, in canonical crops."""
_SEED = 11_000_000


def evaluate_covered(
    data: Path,
    *,
    model: str = "makeup-tiny",
    parser: str = "face-parser",
    split: str = "test",
    folders: Sequence[str] = FOLDERS,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Leakage onto known covers, in levels of 0..255, means over faces and styles.

    Args:
        data: labelled tree.
        model: name or folder of the makeup model.
        parser: name or folder of the parser.
        split: which people.
        folders: which folders of the tree; those that are missing are left out.
        limit: only so many faces, evenly spread over the sorted names.
        progress: called with faces done and in all.

    Returns:
        ``faces``; ``hair`` and ``occluder``: mean change of those pixels without the parser;
        ``hair_protected`` and ``occluder_protected``: with it; ``kept``: share of the change of
        bare skin, lips and brows that the parser leaves, on the same pictures; ``kept_bare``: the
        same where nothing was drawn.

    Raises:
        DataError: no labelled face is there, or none can be read.
    """
    makeup, guard = Makeup(open_model(model)), Parser(open_model(parser))
    faces = sample_faces(data, folders=folders, split=split, limit=limit)
    sums: dict[str, list[float]] = defaultdict(list)
    read = 0
    for done, face in enumerate(faces, 1):
        try:
            row = _face(face, makeup, guard)
        except (PhotoError, FaceError):
            row = {}
        for name, value in row.items():
            sums[name].append(value)
        read += bool(row)
        progress(done, len(faces))
    if not read:
        raise DataError(f"{data}: no picture of a face could be read")
    return {"faces": read} | {name: round(float(np.mean(v)), 4) for name, v in sums.items()}


def _face(face: LabelledFace, makeup: Makeup, guard: Parser) -> dict[str, float]:
    """Figures of one face, its covers drawn from a seed that no training uses."""
    size = makeup.size
    side = round(size * _WIDE)
    wide = align(face.mesh, size).widened(_WIDE).resized(side)
    view, mesh = crop(Photo.open(face.path).pixels, wide), wide.to_crop(face.mesh)
    inner = (side - size) / 2
    middle = Alignment(np.array([[1.0, 0.0, -inner], [0.0, 1.0, -inner]]), size)
    gain = gain_map(middle.to_crop(mesh), size, dict.fromkeys(PARTS, 1.0))
    labels = face_labels(mesh, side)
    digest = hashlib.sha256(f"{_SEED} {face.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    skin = np.median(view[labels == SKIN], 0).astype(np.float32)
    covers = draw(Canvas(mesh, side, skin, (view,)), rng)
    none = np.full_like(labels, 255)
    picture, known = compose(view, none, covers, rng)
    hidden, bare = _central(known, size), _central(none, size)
    row = _levels(makeup, guard, picture, covers=hidden, alignment=middle, gain=gain)
    clean = _levels(makeup, guard, view, covers=bare, alignment=middle, gain=gain)
    return row | {"kept_bare": clean["kept"]}


def _levels(
    makeup: Makeup,
    guard: Parser,
    picture: NDArray[np.uint8],
    *,
    covers: NDArray[np.uint8],
    alignment: Alignment,
    gain: NDArray[np.float32],
) -> dict[str, float]:
    view = crop(picture, alignment)
    clear = guard.uncovered(picture, alignment)
    code = np.full(len(makeup.styles), 1 / len(makeup.styles), np.float32)
    change = np.abs(makeup.residual(view, code)).mean(2) * gain
    reached = gain > 0.5
    out: dict[str, float] = {}
    for name, where in (
        ("hair", (covers == HAIR) & reached),
        ("occluder", (covers < 255) & (covers != HAIR) & reached),
    ):
        if where.sum() >= 20:
            out[name] = float(change[where].mean())
            out[f"{name}_protected"] = float((change * clear)[where].mean())
    bare = (covers == 255) & reached
    out["kept"] = float((change * clear)[bare].sum() / max(float(change[bare].sum()), 1e-6))
    return out


def _central(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    start = (len(labels) - size) // 2
    return labels[start : start + size, start : start + size]
