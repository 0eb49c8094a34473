"""What the parser learns from, as arrays on disk: photos, covered photos and rendered heads.

Built once for a run and mapped into memory::

    SET/images.npy     (N, S, S, 3) uint8
    SET/labels.npy     (N, S, S) uint8 classes, IGNORE where nothing is known
    SET/index.json     settings, and for each picture its name, split and kind
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.recrop import decode_labels, recrop
from visagist.corpus.index import Record
from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.errors import DataError, FaceError, PhotoError
from visagist.face.parser import classes
from visagist.face.parser.config import ParserDataConfig
from visagist.face.parser.labels import LabelledView, label_photo
from visagist.face.parser.overlays import Canvas, Overlay, compose, draw
from visagist.photo import Photo

_SPLITS = ("train", "validation")
_TEXTURES = 48
"""Photos of a split that textures are cut from."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a set.

    Attributes:
        name: where it comes from.
        split: train or validation.
        kind: photo, covered (a photo with something drawn over it) or head (a render).
    """

    name: str
    split: str
    kind: str


@dataclass(frozen=True, slots=True)
class ParserSet:
    """Pictures and label maps, mapped from disk.

    Attributes:
        images: (N, S, S, 3) uint8.
        labels: (N, S, S) uint8.
        entries: what each of them is.
        field: side of the pictures in canonical crops.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    entries: tuple[Entry, ...]
    field: float

    def where(self, split: str, *kinds: str) -> NDArray[np.int64]:
        """Numbers of the pictures of a split and of some kinds."""
        found = [i for i, e in enumerate(self.entries) if e.split == split and e.kind in kinds]
        return np.array(found, np.int64)

    @classmethod
    def open(cls, folder: Path) -> ParserSet:
        """Map a set that was built before.

        Raises:
            DataError: it is damaged or not a set.
        """
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            entries = tuple(Entry(*row) for row in index["entries"])
            # Copy on write: torch wants writable memory, and nothing reaches the file.
            images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
            labels = np.load(folder / "labels.npy", mmap_mode="c", allow_pickle=False)
            if not len(images) == len(labels) == len(entries):
                raise ValueError("its arrays have different lengths")
            return cls(images, labels, entries, float(index["field"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: not a set for the parser ({error}); delete it") from error


def parser_set(
    data: Path,
    heads: Path | None,
    config: ParserDataConfig,
    root: Path,
    *,
    progress: Progress = lambda done, total: None,
) -> ParserSet:
    """The set of a recipe below ``root``, built on the first call.

    Args:
        data: labelled tree with the photos.
        heads: corpus of rendered heads, or nothing.
        config: which pictures, and how many.
        root: folder for the set; it is named by its contents.
        progress: called with pictures done and in all.

    Raises:
        DataError: a source cannot be read, or an existing set is damaged.
    """
    corpus = None if heads is None else Corpus.open(heads)
    faces = read_faces(
        data,
        folders=config.folders,
        splits=_SPLITS,
        without_generators=config.without_generators,
    )
    made_of = {
        "config": config.model_dump(),
        "photos": [face.name for face in faces],
        "heads": None if corpus is None else corpus.summary.get("index_sha256", str(heads)),
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
    folder = root / f"parser-{digest}"
    if not folder.exists():
        _build(faces, corpus, config, folder, progress)
    return ParserSet.open(folder)


def _build(
    faces: Sequence[LabelledFace],
    corpus: Corpus | None,
    config: ParserDataConfig,
    folder: Path,
    progress: Progress,
) -> None:
    records = [] if corpus is None else _heads(corpus, config)
    total = len(records) + len(faces) * (1 + config.variants)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shape = (total, config.size, config.size)
        images = open_memmap(fresh / "images.npy", "w+", np.uint8, (*shape, 3))
        labels = open_memmap(fresh / "labels.npy", "w+", np.uint8, shape)
        entries: list[Entry] = []

        def add(entry: Entry, view: NDArray[np.uint8], known: NDArray[np.uint8]) -> None:
            images[len(entries)], labels[len(entries)] = view, known
            entries.append(entry)
            progress(len(entries), total)

        for record in records:
            assert corpus is not None
            add(Entry(record.key, record.split, "head"), *_head(corpus, record, config))
        layers = {
            split: [i for i, e in enumerate(entries) if e.split == split] for split in _SPLITS
        }
        for split in _SPLITS:
            chosen = [face for face in faces if face.split == split]
            textures: list[NDArray[np.uint8]] = []
            for face, view in _views(chosen, config):
                add(Entry(face.name, split, "photo"), view.view, view.labels)
                if len(textures) < _TEXTURES:
                    textures.append(view.view)
                rng = np.random.default_rng([config.seed, _seed(face.name)])
                for _ in range(config.variants):
                    render = None
                    if layers[split] and rng.random() < 0.35:
                        k = layers[split][int(rng.integers(len(layers[split])))]
                        render = images[k], labels[k]
                    covered = cover(view, textures, render, rng, config)
                    add(Entry(face.name, split, "covered"), *covered)
        _finish(fresh, images, labels, entries, config)
        fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _views(
    faces: Sequence[LabelledFace], config: ParserDataConfig
) -> Iterator[tuple[LabelledFace, LabelledView]]:
    """Labelled crops; pictures that cannot be read are passed over."""
    for face in faces:
        try:
            pixels = Photo.open(face.path).pixels
            yield face, label_photo(pixels, face.mesh, size=config.size, field=config.field)
        except (PhotoError, FaceError):
            continue


def cover(
    view: LabelledView,
    textures: Sequence[NDArray[np.uint8]],
    render: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None,
    rng: np.random.Generator,
    config: ParserDataConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo with things in front of the face, and the labels after that.

    Args:
        view: the photo.
        textures: pictures to cut textures from.
        render: picture and labels of a rendered head in the same crop, whose hair and glasses the
            photo takes over; or nothing.
        rng: source of randomness.
        config: how often the photo stays as it is.
    """
    skin = view.labels == classes.SKIN
    colour = np.median(view.view[skin], 0) if skin.any() else np.array([190.0, 140.0, 115.0])
    canvas = Canvas(view.mesh, len(view.view), colour.astype(np.float32), tuple(textures))
    overlays: list[Overlay] = []
    if rng.random() < config.covered:
        overlays = draw(canvas, rng)
    if render is not None:
        overlays = _layers(*render) + overlays[:1]
    return compose(view.view, view.labels, overlays, rng)


def _layers(view: NDArray[np.uint8], labels: NDArray[np.uint8]) -> list[Overlay]:
    """Hair and what is in front of the face, cut out of a rendered head."""
    colour, out = view.astype(np.float32), []
    for number in (classes.HAIR, classes.OCCLUDER):
        mask = (labels == number).astype(np.float32)
        if mask.any():
            alpha = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), np.float32)
            out.append(Overlay(colour, alpha, number, shadow=0.15))
    return out


def _heads(corpus: Corpus, config: ParserDataConfig) -> list[Record]:
    """At most ``config.heads`` rendered people, evenly spread over the corpus."""
    records = [
        record
        for record in corpus.select(splits=_SPLITS, kinds=("head",), use="parser")
        if "parts.png" in record.extras
    ]
    if not records:
        raise DataError(f"{corpus.path}: no rendered head with a label map in it")
    if len(records) <= config.heads:
        return records
    return [records[int(i)] for i in np.linspace(0, len(records) - 1, config.heads)]


def _head(
    corpus: Corpus,
    record: Record,
    config: ParserDataConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture and classes of a render; a narrower one is framed by pixels that nobody knows."""
    sample = corpus.load(record)
    parts = decode_labels(sample.extras["parts.png"])
    zoom = min(sample.zoom, config.field)
    side = round(config.size * zoom / config.field)
    view = recrop(Image.fromarray(sample.image), sample.zoom, size=side, to_zoom=zoom)
    known = recrop(parts, sample.zoom, size=side, to_zoom=zoom, labels=True)
    known = classes.to_classes(known)
    before = (config.size - side) // 2
    margin = (before, config.size - side - before)
    return (
        np.pad(view, (margin, margin, (0, 0)), mode="edge"),
        np.pad(known, (margin, margin), constant_values=classes.IGNORE),
    )


def _finish(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    entries: Sequence[Entry],
    config: ParserDataConfig,
) -> None:
    """Cut the arrays to what was written, and write the index."""
    for name, array in (("images", images), ("labels", labels)):
        if len(entries) < len(array):
            part = folder / f"{name}.part.npy"
            short = open_memmap(part, "w+", np.uint8, (len(entries), *array.shape[1:]))
            short[:] = array[: len(entries)]
            part.replace(folder / f"{name}.npy")
    index = {
        "field": config.field,
        "config": config.model_dump(),
        "entries": [[e.name, e.split, e.kind] for e in entries],
    }
    (folder / "index.json").write_text(json.dumps(index) + "\n", encoding="utf-8")


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
