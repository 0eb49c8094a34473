"""The protocol of the parser: renders with exact labels, meshes of photos, and known covers.

Three questions, each with floors beside it: what the mesh alone would say, and what the colour of
the face's own skin says on top of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.recrop import decode_labels, recrop, recrop_points
from visagist.corpus.labelled import LabelledFace, sample_faces
from visagist.errors import DataError, FaceError, PhotoError
from visagist.face.align import align, crop
from visagist.face.parser.classes import (
    BACKGROUND,
    CLASSES,
    HAIR,
    IGNORE,
    OCCLUDER,
    SKIN,
    to_classes,
)
from visagist.face.parser.inference import Parser, classify
from visagist.face.parser.labels import face_labels, unlike_skin
from visagist.face.parser.overlays import Canvas, compose, draw
from visagist.face.raster import catmull_rom, fill
from visagist.face.topology import FACE_OVAL
from visagist.photo import Photo
from visagist.runtime.store import open_model

FOLDERS = ("portraits", "portraits_grey", "generated", "faces_easy", "london")
_MESH_CLASSES = ("skin", "lips", "mouth", "eyes", "brows")
_SEED = 7_000_000
"""Covers are drawn from seeds that no training uses."""

Labels = NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with what is known about it.

    Attributes:
        name: for the report.
        view: (S, S, 3) uint8, the parser's crop.
        mesh: (478, 3) float32 in its pixels.
        truth: (S, S) uint8 classes or ``IGNORE``.
    """

    name: str
    view: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    truth: Labels


def evaluate(
    data: Path | None,
    heads: Path | None,
    *,
    model: str = "face-parser",
    split: str = "test",
    limit: int | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a parser on people it has never seen.

    Args:
        data: labelled tree with photos, or nothing.
        heads: corpus of rendered heads, or nothing.
        model: name or folder of the model.
        split: which people.
        limit: at most so many photos, and so many heads.
        progress: called with pictures done and in all.

    Returns:
        ``heads``: IoU per class and their mean on renders; ``photos``: IoU with the masks of the
        labelled meshes inside the face, where they are certain; ``covered``: IoU and recall of
        drawn covers on the same photos, and the share of bare skin taken for a cover;
        each with ``mesh`` and ``colour``, the floors. ``worst``: the 20 worst pictures.

    Raises:
        DataError: neither photos nor heads were given, or none of them can be read.
    """
    if data is None and heads is None:
        raise DataError("the parser is measured on photos (--data), on heads (--heads), or on both")
    files = open_model(model)
    parser = Parser(files)
    report: dict[str, Any] = {
        "model": files.manifest.name,
        "version": files.manifest.version,
        "split": split,
        "params": files.config.get("params"),
        "gflops": files.config.get("gflops"),
    }
    worst: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    corpus = None if heads is None else Corpus.open(heads)
    records = [] if corpus is None else _records(corpus, split, limit)
    faces = [] if data is None else sample_faces(data, folders=FOLDERS, split=split, limit=limit)
    total, done = len(records) + len(faces), 0
    renders, photos, covers = Tally(parser), Tally(parser), Tally(parser)
    if corpus is not None:
        for case in (_render(corpus, record, parser) for record in records):
            worst.append({"kind": "head", "name": case.name, "miou": renders.add(case)})
            progress(done := done + 1, total)
    for face in faces:
        try:
            case = _photo(face, parser)
        except (PhotoError, FaceError) as error:
            skipped[face.name] = str(error)
        else:
            worst.append({"kind": "photo", "name": case.name, "miou": photos.add(case)})
            covers.add(covered(case, _SEED))
        progress(done := done + 1, total)
    if renders.n:
        report["heads"] = renders.report(CLASSES)
    if photos.n:
        report["photos"] = photos.report(_MESH_CLASSES)
        report["covered"] = covers.covered_report()
    report["worst"] = sorted(worst, key=lambda row: float(row["miou"]))[:20]
    report["skipped"] = skipped
    return report


class Tally:
    """Confusions of the parser and of both floors over pictures of one kind."""

    def __init__(self, parser: Parser) -> None:
        self.parser = parser
        self.n = 0
        shape = (len(CLASSES), len(CLASSES))
        self.counts = {name: np.zeros(shape, np.int64) for name in ("parser", "mesh", "colour")}

    def add(self, case: Case) -> float:
        """Count one picture; its own mean IoU of the parser."""
        size = len(case.view)
        ours = classify(self.parser.probabilities(case.view), size)
        own = confusion(ours, case.truth)
        self.counts["parser"] += own
        self.counts["mesh"] += confusion(by_mesh(case.mesh, size), case.truth)
        self.counts["colour"] += confusion(by_colour(case.view, case.mesh), case.truth)
        self.n += 1
        return round(float(np.nanmean(iou(own))), 4)

    def report(self, names: Sequence[str]) -> dict[str, Any]:
        """IoU of each class and their mean; beside it the floors."""
        out: dict[str, Any] = {"n": self.n}
        for name, counts in self.counts.items():
            scores = iou(counts)
            row = {c: round(float(scores[CLASSES.index(c)]), 4) for c in names}
            row = {c: v for c, v in row.items() if np.isfinite(v)}
            row["miou"] = round(float(np.mean(list(row.values()))), 4)
            if name == "parser":
                out |= row
            else:
                out[name] = row
        return out

    def covered_report(self) -> dict[str, Any]:
        """How much of known covers is seen, and how much bare face is taken for one."""
        out: dict[str, Any] = {"n": self.n}
        for name, counts in self.counts.items():
            in_front = counts[:, [HAIR, OCCLUDER]].sum(1)
            face = [CLASSES.index(c) for c in _MESH_CLASSES]
            row = {
                "recall": _share(in_front[[HAIR, OCCLUDER]].sum(), counts[[HAIR, OCCLUDER]].sum()),
                "false": _share(in_front[face].sum(), counts[face].sum()),
            }
            scores = iou(counts)
            for number in (OCCLUDER, HAIR):
                if np.isfinite(scores[number]):
                    row[CLASSES[number]] = round(float(scores[number]), 4)
            if name == "parser":
                out |= row
            else:
                out[name] = row
        return out


def confusion(predicted: Labels, truth: Labels) -> NDArray[np.int64]:
    """(C, C) counts of known pixels, rows the truth, columns the prediction."""
    n = len(CLASSES)
    known = truth != IGNORE
    pairs = truth[known].astype(np.int64) * n + predicted[known]
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) intersection over union; NaN for classes that the truth never shows."""
    both = counts.diagonal().astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return np.where(counts.sum(1) > 0, both / np.maximum(union, 1), np.nan)


def by_mesh(mesh: NDArray[np.float32], size: int) -> Labels:
    """Floor: what the mesh's outlines say; it knows neither hair nor covers."""
    labels = face_labels(mesh, size)
    oval = fill(catmull_rom(mesh[list(FACE_OVAL), :2]), size, size) > 0.5
    labels[(labels == IGNORE) & oval] = SKIN
    labels[labels == IGNORE] = BACKGROUND
    return labels


def by_colour(view: NDArray[np.uint8], mesh: NDArray[np.float32]) -> Labels:
    """Floor: the mesh, corrected by how far each colour is from the face's own skin.

    What is strange inside the face is an occluder; around it, up to a third of the face's height
    away, what looks like skin is skin and what does not is hair, except below the chin.
    """
    size = len(view)
    labels = by_mesh(mesh, size)
    strange = unlike_skin(view, labels == SKIN) > 2.5
    oval = mesh[list(FACE_OVAL), :2]
    height = float(np.ptp(oval[:, 1]))
    wide = oval.mean(0) + (oval - oval.mean(0)) * (1 + 2 / 3)
    near = (fill(catmull_rom(wide), size, size) > 0.5) & (labels == BACKGROUND)
    above = np.arange(size)[:, None] < oval[:, 1].min() + 0.7 * height
    labels[(labels == SKIN) & strange] = OCCLUDER
    labels[near & strange & above] = HAIR
    labels[near & ~strange] = SKIN
    return labels


def covered(case: Case, seed: int) -> Case:
    """The case with things drawn in front of the face, the same ones for every model."""
    digest = hashlib.sha256(f"{seed} {case.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    skin = case.truth == SKIN
    middle = np.median(case.view[skin], 0) if skin.any() else np.full(3, 160.0)
    canvas = Canvas(case.mesh, len(case.view), middle.astype(np.float32), (case.view,))
    view, truth = compose(case.view, case.truth, draw(canvas, rng), rng)
    return Case(case.name, view, case.mesh, truth)


def worst_sheet(
    data: Path | None,
    heads: Path | None,
    report: dict[str, Any],
    *,
    model: str = "face-parser",
) -> NDArray[np.uint8]:
    """The worst cases of a report as pairs of picture and parsing, five rows of four.

    Returns:
        A picture that shows the people of the tree: mind their consent.
    """
    parser = Parser(open_model(model))
    split = report["split"]
    wanted = {row["name"]: row["kind"] for row in report["worst"]}
    cases: dict[str, Case] = {}
    if heads is not None and "head" in wanted.values():
        corpus = Corpus.open(heads)
        for record in _records(corpus, split, None):
            if record.key in wanted:
                cases[record.key] = _render(corpus, record, parser)
    if data is not None and "photo" in wanted.values():
        for face in sample_faces(data, folders=FOLDERS, split=split):
            if face.name in wanted:
                cases[face.name] = _photo(face, parser)
    return sheet([cases[name] for name in wanted if name in cases], parser)


def sheet(cases: Sequence[Case], parser: Parser, *, columns: int = 4) -> NDArray[np.uint8]:
    """Pictures beside their parsing, tinted by class."""
    tiles = []
    for case in cases:
        size = len(case.view)
        parsed = tint(case.view, classify(parser.probabilities(case.view), size))
        tiles.append(np.concatenate([case.view, parsed], 1))
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)


_TINTS = np.array(
    [
        (30, 40, 120), (240, 190, 150), (210, 30, 80), (110, 0, 20),
        (245, 245, 255), (120, 80, 20), (40, 170, 60), (225, 60, 225),
    ],
    np.float32,
)  # fmt: skip


def tint(view: NDArray[np.uint8], labels: Labels) -> NDArray[np.uint8]:
    """A picture with every class in its colour, half transparent; unknown pixels are dark."""
    known = labels != IGNORE
    colours = _TINTS[np.where(known, labels, 0)]
    mixed = np.where(known[..., None], 0.45 * view + 0.55 * colours, 0.3 * view)
    return np.asarray(np.rint(mixed), np.uint8)


def _records(corpus: Corpus, split: str, limit: int | None) -> list[Any]:
    records = [
        record
        for record in corpus.select(splits=(split,), kinds=("head",))
        if "parts.png" in record.extras
    ]
    if not records:
        raise DataError(f"{corpus.path}: no rendered head with a label map in the split {split!r}")
    if limit is None or limit >= len(records):
        return records
    return [records[int(i)] for i in np.linspace(0, len(records) - 1, limit)]


def _render(corpus: Corpus, record: Any, parser: Parser) -> Case:  # noqa: ANN401
    sample = corpus.load(record)
    if sample.zoom < parser.field * (1 - 1e-6):
        raise DataError(
            f"{corpus.path}: its crops show {sample.zoom:.4g} canonical crops, the parser needs "
            f"{parser.field:.4g}; make the heads with a wider crop"
        )
    parts = decode_labels(sample.extras["parts.png"])
    size, zoom = parser.size, sample.zoom
    view = recrop(sample.image, zoom, size=size, to_zoom=parser.field)
    side = len(sample.image)
    mesh = recrop_points(sample.mesh, side, zoom, size=size, to_zoom=parser.field)
    truth = recrop(parts, zoom, size=size, to_zoom=parser.field, labels=True)
    return Case(record.key, view, mesh, to_classes(truth))


def _photo(face: LabelledFace, parser: Parser) -> Case:
    """A photo with the mesh's certain regions; lips, eyes and brows keep their edges unknown."""
    pixels = Photo.open(face.path).pixels
    alignment = align(face.mesh, parser.size).widened(parser.field)
    mesh = alignment.to_crop(face.mesh)
    return Case(face.name, crop(pixels, alignment), mesh, face_labels(mesh, parser.size))


def _share(part: np.int64, whole: np.int64) -> float:
    return round(float(part / max(int(whole), 1)), 4)
