"""A small set of faces as arrays on disk: decoded once, mapped into memory by every run.

The folder is named by what is in it, so a corpus that was built again, or another ``data`` section,
gets another cache, and an old one is never taken for it::

    ROOT/faces-3f2a8c01d9b4/
      crops.npy      (N, S, S, 3) uint8 RGB
      meshes.npy     (N, 478, 3) float32 in crop pixels
      parts.npy      (N, S, S) uint8 label maps, where they were asked for; 255: no map
      keys.npy       (N,) of 16 bytes, the samples' keys
      manifest.json  what it was made of; written with the rest, by one rename
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import INDEX, Corpus
from visagist.corpus.feed.recrop import decode_crop, decode_labels, recrop, recrop_points, reduction
from visagist.corpus.feed.selection import FeedConfig, enlargement, select_faces
from visagist.corpus.index import Record
from visagist.errors import DataError
from visagist.face.topology import N_POINTS
from visagist.photo.files import mapped_array

_FORMAT = 1
_MANIFEST = "manifest.json"
NO_PARTS = 255
"""Value of a label map where the sample has none."""


@dataclass(frozen=True, slots=True)
class FaceCache:
    """Aligned crops with their meshes, usually mapped from disk.

    Attributes:
        crops: (N, S, S, 3) uint8.
        meshes: (N, 478, 3) float32 in crop pixels.
        keys: key of each sample.
        splits: train, validation or test of each; the samples of a split are neighbours.
        zoom: field of view in canonical crops.
        parts: (N, S, S) uint8 label maps, ``NO_PARTS`` where a sample has none, or nothing.
    """

    crops: NDArray[np.uint8]
    meshes: NDArray[np.float32]
    keys: tuple[str, ...]
    splits: tuple[str, ...]
    zoom: float
    parts: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def subset(self, split: str) -> FaceCache:
        """The faces of one split; nothing is copied.

        Raises:
            DataError: there is none.
        """
        if split not in self.splits:
            raise DataError(f"there is no face of the split {split!r} to train with")
        first = self.splits.index(split)
        part = slice(first, first + self.splits.count(split))
        return replace(
            self,
            crops=self.crops[part],
            meshes=self.meshes[part],
            keys=self.keys[part],
            splits=self.splits[part],
            parts=None if self.parts is None else self.parts[part],
        )

    @classmethod
    def open(cls, folder: Path) -> FaceCache:
        """Map a cache that was written before.

        Raises:
            DataError: it is damaged, cut short or not a cache.
        """
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            # Copy on write: torch wants writable memory, and nothing reaches the file.
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
                for name in manifest["shapes"]
            }
            wrong = [n for n, shape in manifest["shapes"].items() if [*arrays[n].shape] != shape]
            if wrong:
                raise ValueError(f"{', '.join(wrong)} has another shape")
            keys = tuple(key.decode("ascii") for key in arrays["keys"].tolist())
            splits = tuple(name for name, n in manifest["splits"].items() for _ in range(n))
            return cls(
                crops=arrays["crops"],
                meshes=arrays["meshes"],
                keys=keys,
                splits=splits,
                zoom=float(manifest["zoom"]),
                parts=arrays.get("parts"),
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{folder}: this cache of faces is damaged ({error}); delete the folder, and the "
                "next training makes it again"
            ) from error


def cached_faces(
    corpus: Corpus,
    config: FeedConfig,
    root: Path,
    *,
    splits: Iterable[str] = ("train", "validation"),
    parts: bool = False,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FaceCache:
    """The faces of a recipe as a cache below ``root``, written on the first call.

    Args:
        corpus: where they come from.
        config: which ones, and how they are cropped.
        root: folder for caches; several trainings may share it.
        splits: which people.
        parts: keep label maps, too.
        workers: threads that decode.
        progress: called with faces done and in all while it is written.

    Raises:
        DataError: no face fits, a sample is damaged, or an existing cache is.
    """
    splits = tuple(splits)
    key = _digest(corpus, config, splits, parts)
    folder = root / f"faces-{key}"
    if not folder.exists():
        records = select_faces(corpus, config, splits)
        _write(corpus, records, config, folder, parts=parts, workers=workers, progress=progress)
    return FaceCache.open(folder)


def load_faces(
    corpus: Corpus, records: Sequence[Record], config: FeedConfig, *, parts: bool = False
) -> FaceCache:
    """A few samples as arrays in memory, cropped as a recipe asks; their order is kept.

    Raises:
        DataError: a sample is damaged.
    """
    crops = np.empty((len(records), config.size, config.size, 3), np.uint8)
    maps = np.empty(crops.shape[:3], np.uint8) if parts else None
    for i, record in enumerate(records):
        crops[i], labels = load_crop(corpus, record, config, parts=parts)
        if maps is not None:
            maps[i] = labels
    return FaceCache(
        crops,
        np.stack([crop_mesh(record, config) for record in records]),
        tuple(record.key for record in records),
        tuple(record.split for record in records),
        config.zoom,
        maps,
    )


def load_crop(
    corpus: Corpus, record: Record, config: FeedConfig, *, parts: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | int]:
    """Picture (S, S, 3) and label map (S, S) of a sample, ``NO_PARTS`` where it has no map."""
    pixels = cut_crop(corpus.picture(record), record, config)
    if not parts or "parts.png" not in record.extras:
        return pixels, NO_PARTS
    labels = decode_labels(corpus.load(record).extras["parts.png"])
    cut = recrop(labels, record.zoom, size=config.size, to_zoom=config.zoom, labels=True)
    return pixels, cut


def cut_crop(data: bytes, record: Record, config: FeedConfig) -> NDArray[np.uint8]:
    """(S, S, 3) picture of a sample as a recipe asks for it, from the encoded one.

    Raises:
        DataError: the picture is damaged.
    """
    zoom, size, to_zoom = record.zoom, config.size, config.zoom
    factor = reduction(record.size, zoom, size=size, to_zoom=to_zoom)
    return recrop(decode_crop(data, reduce=factor), zoom, size=size, to_zoom=to_zoom)


def crop_mesh(record: Record, config: FeedConfig) -> NDArray[np.float32]:
    """(478, 3) mesh of a sample in pixels of the recipe's crop."""
    return recrop_points(
        record.mesh, record.size, record.zoom, size=config.size, to_zoom=config.zoom
    )


def _write(
    corpus: Corpus,
    records: Sequence[Record],
    config: FeedConfig,
    folder: Path,
    *,
    parts: bool,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _fill(corpus, records, config, temporary, parts=parts, workers=workers, progress=progress)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another training was faster, with the same result
                raise
    except OSError as error:
        raise DataError(f"{folder}: the cache cannot be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(
    corpus: Corpus,
    records: Sequence[Record],
    config: FeedConfig,
    folder: Path,
    *,
    parts: bool,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    n, side = len(records), config.size
    shapes: dict[str, tuple[int, ...]] = {"crops": (n, side, side, 3), "meshes": (n, N_POINTS, 3)}
    if parts:
        shapes["parts"] = (n, side, side)
    arrays = {
        name: mapped_array(
            folder / f"{name}.npy", np.float32 if name == "meshes" else np.uint8, shape
        )
        for name, shape in shapes.items()
    }
    with ThreadPoolExecutor(workers) as pool:
        for done, (pixels, labels) in enumerate(
            _ahead(pool, partial(load_crop, corpus, config=config, parts=parts), records), 1
        ):
            arrays["crops"][done - 1] = pixels
            arrays["meshes"][done - 1] = crop_mesh(records[done - 1], config)
            if parts:
                arrays["parts"][done - 1] = labels
            progress(done, n)
    for array in arrays.values():
        array.flush()
    np.save(folder / "keys.npy", np.array([record.key for record in records], "S16"))
    factors = [enlargement(record.size, record.zoom, config) for record in records]
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "data": config.model_dump(),
        "zoom": config.zoom,
        "enlarged": round(max(1.0, *factors), 4),
        "splits": {s: sum(r.split == s for r in records) for s in dict.fromkeys(_splits(records))},
        "shapes": {name: [*shape] for name, shape in shapes.items()} | {"keys": [n]},
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _splits(records: Sequence[Record]) -> Iterator[str]:
    return (record.split for record in records)


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Record], tuple[NDArray[np.uint8], NDArray[np.uint8] | int]],
    records: Sequence[Record],
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8] | int]]:
    """Results in order, a bounded number of them at a time, so that memory stays small."""
    for first in range(0, len(records), 256):
        yield from pool.map(work, records[first : first + 256])


def _digest(corpus: Corpus, config: FeedConfig, splits: Sequence[str], parts: bool) -> str:
    try:
        with (corpus.path / INDEX).open("rb") as stream:
            sha = hashlib.file_digest(stream, "sha256")
    except OSError as error:
        raise DataError(f"{corpus.path / INDEX}: cannot be read ({error.strerror})") from error
    what = [_FORMAT, config.model_dump(), list(splits), parts]
    sha.update(json.dumps(what, sort_keys=True).encode())
    return sha.hexdigest()[:12]
