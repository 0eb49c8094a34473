"""What the parser learns from, as arrays on disk: photos, covered photos and rendered heads.

Built once and mapped into memory; the folder is named by what is in it::

    SET/images.npy     (N, S, S, 3) uint8
    SET/labels.npy     (N, S, S) uint8 classes, IGNORE or UNDERNEATH
    SET/index.json     for each picture its name, split, kind, and the photo under the covers
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.recrop import decode_labels, recrop
from visagist.corpus.index import Record
from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.errors import DataError, FaceError, PhotoError
from visagist.face.parser import classes
from visagist.face.parser.config import ParserDataConfig
from visagist.face.parser.labels import LabelledView, label_photo
from visagist.face.parser.overlays import Canvas, compose, draw
from visagist.photo import Photo
from visagist.photo.files import mapped_array

_SPLITS = ("train", "validation")
_TEXTURES = 48
"""Photos at hand that textures are cut from."""
UNDERNEATH = 254
"""Label of a covered photo where nothing covers it: see the photo itself."""

_Picture = tuple["Entry", NDArray[np.uint8], NDArray[np.uint8]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a set.

    Attributes:
        name: where it comes from.
        split: train or validation.
        kind: photo, covered (a photo with something drawn over it) or head (a render).
        photo: number of the picture that lies under the covers; its own where there are none.
    """

    name: str
    split: str
    kind: str
    photo: int


@dataclass(frozen=True, slots=True)
class ParserSet:
    """Pictures and label maps, mapped from disk.

    Attributes:
        images: (N, S, S, 3) uint8.
        labels: (N, S, S) uint8 classes, ``IGNORE``, or ``UNDERNEATH``: whatever is known about
            the photo under the covers, so that labels learned later serve all its copies.
        entries: what each of them is.
        field: side of the pictures in canonical crops.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    entries: tuple[Entry, ...]
    field: float

    def where(self, split: str) -> NDArray[np.int64]:
        """Numbers of the pictures of a split."""
        return np.array([i for i, e in enumerate(self.entries) if e.split == split], np.int64)

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


def photo_set(
    data: Path,
    config: ParserDataConfig,
    root: Path,
    *,
    progress: Progress = lambda done, total: None,
) -> ParserSet:
    """Photos and their covered copies, in a folder below ``root`` that is built on the first call.

    Raises:
        DataError: the tree cannot be read, or an existing set is damaged.
    """
    faces = read_faces(
        data,
        folders=config.folders,
        splits=_SPLITS,
        without_generators=config.without_generators,
    )
    made_of = (
        [face.name for face in faces],
        config.model_dump(exclude={"heads", "teacher"}),
    )
    total = len(faces) * (1 + config.variants)
    folder = root / f"photos-{_digest(made_of)}"
    return _opened(folder, total, lambda: _photos(faces, config), config, progress)


def head_set(
    heads: Path,
    config: ParserDataConfig,
    root: Path,
    *,
    progress: Progress = lambda done, total: None,
) -> ParserSet:
    """Rendered heads, in a folder below ``root`` that is built on the first call.

    Raises:
        DataError: the corpus has no heads or is damaged, or an existing set is.
    """
    corpus = Corpus.open(heads)
    records = _heads(corpus, config)
    made_of = ([record.key for record in records], config.size, config.field)

    def pictures() -> Iterator[_Picture]:
        for number, record in enumerate(records):
            entry = Entry(record.key, record.split, "head", number)
            yield entry, *_head(corpus, record, config)

    folder = root / f"heads-{_digest(made_of)}"
    return _opened(folder, len(records), pictures, config, progress)


def _opened(
    folder: Path,
    total: int,
    pictures: Callable[[], Iterator[_Picture]],
    config: ParserDataConfig,
    progress: Progress,
) -> ParserSet:
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(fresh, total, pictures(), config, progress)
            fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return ParserSet.open(folder)


def _write(
    folder: Path,
    total: int,
    pictures: Iterator[_Picture],
    config: ParserDataConfig,
    progress: Progress,
) -> None:
    """Fill the arrays, cut them to what came, and write the index."""
    shape = (total, config.size, config.size)
    images = mapped_array(folder / "images.npy", np.uint8, (*shape, 3))
    labels = mapped_array(folder / "labels.npy", np.uint8, shape)
    entries: list[Entry] = []
    for entry, view, known in pictures:
        images[len(entries)], labels[len(entries)] = view, known
        entries.append(entry)
        progress(len(entries), total)
    if not entries:
        raise DataError("the parser has nothing to learn from: no picture could be read")
    for name, array in (("images", images), ("labels", labels)):
        if len(entries) < total:
            part = folder / f"{name}.part.npy"
            short = mapped_array(part, np.uint8, (len(entries), *array.shape[1:]))
            short[:] = array[: len(entries)]
            part.replace(folder / f"{name}.npy")
    index = {"field": config.field, "entries": [[*astuple(e)] for e in entries]}
    (folder / "index.json").write_text(json.dumps(index) + "\n", encoding="utf-8")


def _photos(faces: Sequence[LabelledFace], config: ParserDataConfig) -> Iterator[_Picture]:
    """Every readable photo, followed by its covered copies."""
    number = 0
    for split in _SPLITS:
        textures: list[NDArray[np.uint8]] = []
        for face, view in _views([f for f in faces if f.split == split], config):
            rng = np.random.default_rng([config.seed, _seed(face.name)])
            if len(textures) < _TEXTURES:
                textures.append(view.view)
            else:
                textures[int(rng.integers(_TEXTURES))] = view.view
            photo = number
            yield Entry(face.name, split, "photo", photo), view.view, view.labels
            for _ in range(config.variants):
                yield Entry(face.name, split, "covered", photo), *cover(view, textures, rng, config)
            number += 1 + config.variants


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
    rng: np.random.Generator,
    config: ParserDataConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo with things in front of the face; labels ``UNDERNEATH`` where nothing lies on it."""
    skin = view.labels == classes.SKIN
    colour = np.median(view.view[skin], 0) if skin.any() else np.array([190.0, 140.0, 115.0])
    canvas = Canvas(view.mesh, len(view.view), colour.astype(np.float32), tuple(textures))
    overlays = draw(canvas, rng) if rng.random() < config.covered else []
    return compose(view.view, np.full_like(view.labels, UNDERNEATH), overlays, rng)


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
    view = recrop(sample.image, sample.zoom, size=side, to_zoom=zoom)
    known = recrop(parts, sample.zoom, size=side, to_zoom=zoom, labels=True)
    known = classes.to_classes(known)
    before = (config.size - side) // 2
    margin = (before, config.size - side - before)
    return (
        np.pad(view, (margin, margin, (0, 0)), mode="edge"),
        np.pad(known, (margin, margin), constant_values=classes.IGNORE),
    )


def _digest(made_of: object) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
