"""Triplets as batches: a function of seed and step, so that a stopped training goes on exactly.

The pictures of a set are decoded once into arrays on disk, each different one once::

    SET/cache-3f2a8c01d9b4/
      pictures.npy   (M, S, S, 3) uint8 RGB canonical crops
      views.npy      (M, 112, 112, 3) uint8, the recogniser's view of each
      meshes.npy     (M, 478, 3) float32, the mesh network's mesh of each, in its pixels
      index.json     the triplets as rows of numbers, and who is in each picture
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from visagist.corpus.shards import decode_picture, iterate_samples
from visagist.errors import DataError
from visagist.face.find import Mesher, default_mesher
from visagist.face.raster import pooled
from visagist.face.topology import canonical_points, five_points, mirror_index
from visagist.face.types import Detection
from visagist.swap.guide import guide, mirrored_mesh
from visagist.swap.triplets.build import SUMMARY
from visagist.swap.triplets.triplet import PICTURES, decode_labels
from visagist.swap.triplets.views import VIEW, identity_view
from visagist.training.augmentation import PhotometricConfig
from visagist.training.degrade import light_curves

__all__ = ["TripletAugment", "TripletBatch", "TripletSet", "open_triplets"]

_FORMAT = 2
_SOURCE_IS_TRUTH = ("shape_on_target", "shape_on_source")


class TripletAugment(BaseModel):
    """What changes from draw to draw. The defaults are those of the published training code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: float = Field(0.5, description="share of sources, and of targets, mirrored", ge=0, le=1)
    light: float = Field(
        0.3, description="share of sources, and of targets, in another light", ge=0, le=1
    )
    strength: float = Field(0.4, description="of that light; 1 is about a stop", ge=0)
    grey_source: float = Field(0.02, description="share of sources without colour", ge=0, le=1)
    grey_target: float = Field(0.01, description="share of targets without colour", ge=0, le=1)


@dataclass(frozen=True, slots=True)
class TripletBatch:
    """Samples of one step; pictures are uint8 RGB, channels first.

    Attributes:
        source: (n, 3, S, S) canonical crops of who the result shall be.
        identity_crop: (n, 3, 112, 112) the recogniser's view of the source.
        target: (n, 3, S, S) canonical crops that the result shall keep but for who it is.
        truth: (n, 3, S, S) the result; the target where there is none.
        weight: (n,) float32 of the loss against the truth; 0 where there is none.
        kinds: how each was made.
        guide: (n, 4, s, s) the source's face on the target's mesh and its share, 0..255, at the
            side that was asked for; ``None`` where none was.
    """

    source: Tensor
    identity_crop: Tensor
    target: Tensor
    truth: Tensor
    weight: Tensor
    kinds: tuple[str, ...]
    guide: Tensor | None = None


@dataclass(frozen=True)
class _Row:
    kind: str
    weight: float
    pictures: tuple[int, int, int]


class _Folder:
    """One set of triplets with its decoded pictures."""

    def __init__(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        self.path = folder
        try:
            raw = (folder / SUMMARY).read_bytes()
            self.summary: dict[str, Any] = json.loads(raw)
            parts, self.mix = int(self.summary["parts"]), dict(self.summary["mix"])
            total = int(self.summary["triplets"])
        except FileNotFoundError as error:
            raise DataError(
                f"{folder}: no finished set of triplets here; "
                f"`visagist triplets CORPUS -n N -o {folder}` makes one, or goes on with one"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / SUMMARY}: cannot be read ({error})") from error
        shards = [folder / f"part-{number:05d}.tar" for number in range(parts)]
        cache = folder / f"cache-{_digest(raw, shards)}"
        if not cache.exists():
            _write(cache, shards, total, progress)
        self._open(cache)

    def _open(self, cache: Path) -> None:
        try:
            index = json.loads((cache / "index.json").read_text(encoding="utf-8"))
            self.pictures = np.load(cache / "pictures.npy", mmap_mode="r", allow_pickle=False)
            self.views = np.load(cache / "views.npy", mmap_mode="r", allow_pickle=False)
            self.meshes = np.load(cache / "meshes.npy", allow_pickle=False)
            self.rows = [_Row(r[0], float(r[1]), (r[2], r[3], r[4])) for r in index["rows"]]
            self.unedited = [(int(n), str(person)) for n, person in index["unedited"]]
            counts = {len(self.pictures), len(self.views), len(self.meshes)}
            if len(counts) > 1 or any(max(row.pictures) >= len(self.pictures) for row in self.rows):
                raise ValueError("its arrays do not fit its index")
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{cache}: this cache of triplets is damaged ({error}); delete the folder, and the "
                "next training makes it again"
            ) from error


class TripletSet:
    """Triplets of one or several sets, drawn by the shares of their kinds.

    Args:
        folders: opened sets.
        mix: share of each kind; that of the first set's recipe when ``None``. Kinds that no set
            holds drop out; ``free`` and ``same`` are put together from unedited pictures.
        augment: what changes from draw to draw; nothing when ``None``.
        guide: side of the guides that come with the pictures, a whole part of theirs; none when
            ``None``.
        shape: share of the source's build in them.

    Raises:
        DataError: the sets differ in size, or hold nothing of the mix.
    """

    def __init__(
        self,
        folders: Sequence[_Folder],
        *,
        mix: Mapping[str, float] | None = None,
        augment: TripletAugment | None = None,
        guide: int | None = None,
        shape: float = 0.6,
    ) -> None:
        if not folders:
            raise DataError("there is no set of triplets to draw from")
        sides = {folder.pictures.shape[1] for folder in folders}
        if len(sides) > 1:
            raise DataError(f"the sets' pictures differ in size: {sorted(sides)} pixels")
        self.side = sides.pop()
        self.augment, self.guide, self.shape = augment, guide, shape
        if guide is not None and self.side % guide:
            raise DataError(f"guides of {guide} pixels are no whole part of the sets' {self.side}")
        self._folders = folders
        self._rows: dict[str, list[tuple[int, _Row]]] = {}
        self._unedited: list[tuple[int, int, str]] = []
        for number, folder in enumerate(folders):
            for row in folder.rows:
                self._rows.setdefault(row.kind, []).append((number, row))
            self._unedited += [(number, picture, who) for picture, who in folder.unedited]
        wanted = dict(folders[0].mix if mix is None else mix)
        people = {who for _, _, who in self._unedited}
        possible = {
            kind: share
            for kind, share in wanted.items()
            if share > 0
            and (kind in self._rows
                 or (kind == "same" and people) or (kind == "free" and len(people) > 1))
        }  # fmt: skip
        total = sum(possible.values())
        if total <= 0:
            raise DataError(f"the sets of triplets hold none of {', '.join(sorted(wanted))}")
        self.mix = {kind: share / total for kind, share in sorted(possible.items())}

    @property
    def splits(self) -> set[str]:
        """Whose people the sets hold: train, validation, test."""
        return {str(folder.summary.get("split", "train")) for folder in self._folders}

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    def counts(self) -> dict[str, int]:
        """Triplets on disk by kind."""
        return {kind: len(rows) for kind, rows in sorted(self._rows.items())}

    def draw(self, step: int, batch: int, seed: int) -> TripletBatch:
        """The samples of a step; equal arguments give equal batches.

        Args:
            step: of the training.
            batch: how many samples.
            seed: of the training.
        """
        random = np.random.default_rng([seed, step])
        kinds = list(self.mix)
        drawn = random.choice(len(kinds), size=batch, p=list(self.mix.values()))
        side = self.side
        images = np.empty((3, batch, side, side, 3), np.uint8)
        views = np.empty((batch, VIEW, VIEW, 3), np.uint8)
        weight = np.zeros(batch, np.float32)
        guides = None
        if self.guide is not None:
            guides = np.empty((batch, self.guide, self.guide, 4), np.uint8)
        for k, number in enumerate(drawn):
            places, weight[k] = self._one(kinds[int(number)], random)
            for role, (folder, picture) in enumerate(places):
                images[role, k] = self._folders[folder].pictures[picture]
            views[k] = self._folders[places[0][0]].views[places[0][1]]
            flips = (False, False)
            if self.augment is not None:
                flips = self._disturb(images[:, k], views[k], random, kinds[int(number)])
            if guides is not None:
                guides[k] = self._guided(images[:2, k], places[:2], flips)
        source, target, truth = (_tensor(part) for part in images)
        named = tuple(kinds[int(number)] for number in drawn)
        weights = torch.from_numpy(weight)
        laid = None if guides is None else _tensor(guides)
        return TripletBatch(source, _tensor(views), target, truth, weights, named, laid)

    def _guided(
        self,
        images: NDArray[np.uint8],
        places: Sequence[tuple[int, int]],
        flips: tuple[bool, bool],
    ) -> NDArray[np.uint8]:
        """(s, s, 4) levels of the guide and of its share, of a source and a target."""
        side = self.guide
        assert side is not None
        times = self.side // side
        pictures, meshes = [], []
        for image, (folder, picture), flip in zip(images, places, flips, strict=True):
            mesh = np.asarray(self._folders[folder].meshes[picture])
            if flip:
                mesh = mirrored_mesh(mesh, self.side, mirror_index())
            pictures.append(np.rint(pooled(image, times)).astype(np.uint8))
            meshes.append(mesh / np.float32(times))
        laid = guide(pictures[0], meshes[0], pictures[1], meshes[1], shape=self.shape)
        share = np.rint(255 * laid.share).astype(np.uint8)
        return np.concatenate([laid.picture, share[..., None]], 2)

    def _one(
        self, kind: str, random: np.random.Generator
    ) -> tuple[tuple[tuple[int, int], ...], float]:
        """(set, picture) of source, target and truth, and the weight of the truth."""
        if kind in self._rows:
            rows = self._rows[kind]
            folder, row = rows[int(random.integers(len(rows)))]
            return tuple((folder, picture) for picture in row.pictures), row.weight
        folder, picture, who = self._unedited[int(random.integers(len(self._unedited)))]
        target = (folder, picture)
        if kind == "same":
            return (target, target, target), 1.0
        while True:
            folder, picture, other = self._unedited[int(random.integers(len(self._unedited)))]
            if other != who:
                return ((folder, picture), target, target), 0.0

    def _disturb(
        self,
        images: NDArray[np.uint8],
        view: NDArray[np.uint8],
        random: np.random.Generator,
        kind: str,
    ) -> tuple[bool, bool]:
        """Mirror, relight and grey in place: source and view alike, target and truth alike.

        Returns:
            Whether the source, and whether the target, is mirrored now.
        """
        config = self.augment
        assert config is not None
        light = PhotometricConfig(strength=config.strength)
        groups = (
            ((images[0], view), config.grey_source),
            ((images[1], images[2]), config.grey_target),
        )
        flips = []
        for group, grey in groups:
            flip, relit, grey_now = (random.random() < p for p in (config.flip, config.light, grey))
            curves = light_curves(random, light)
            for picture in group:
                if flip:
                    picture[:] = picture[:, ::-1].copy()
                # the light of edited pairs whose truth is the source stays as it is
                if relit and kind not in _SOURCE_IS_TRUTH:
                    for channel in range(3):
                        picture[..., channel] = curves[picture[..., channel], channel]
                if grey_now:
                    picture[:] = np.rint(picture @ _LUMA)[..., None].astype(np.uint8)
            flips.append(flip)
        return flips[0], flips[1]


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def open_triplets(
    folders: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    mix: Mapping[str, float] | None = None,
    augment: TripletAugment | None = TripletAugment(),  # noqa: B008  (frozen)
    guide: int | None = None,
    shape: float = 0.6,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TripletSet:
    """Open sets that ``visagist triplets`` made; their pictures are decoded on the first call.

    Args:
        folders: one or several.
        mix: share of each kind; that of the first set's recipe when ``None``.
        augment: what changes from draw to draw; ``None`` for pictures as they are.
        guide: side of the guides that come along; none when ``None``.
        shape: share of the source's build in them.
        progress: called with triplets decoded and all, a set at a time.

    Raises:
        DataError: a folder holds no finished set, or a damaged one.
    """
    paths = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    opened = [_Folder(Path(path), progress) for path in paths]
    return TripletSet(opened, mix=mix, augment=augment, guide=guide, shape=shape)


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _digest(summary: bytes, shards: Sequence[Path]) -> str:
    sha = hashlib.sha256(summary)
    sha.update(str(_FORMAT).encode())
    for shard in shards:
        try:
            sha.update(f"{shard.name} {shard.stat().st_size}".encode())
        except OSError as error:
            raise DataError(f"{shard}: cannot be read ({error.strerror})") from error
    return sha.hexdigest()[:12]


def _write(
    cache: Path, shards: Sequence[Path], total: int, progress: Callable[[int, int], None]
) -> None:
    """Decode each different picture once, into a folder that appears whole or not at all."""
    try:
        temporary = Path(mkdtemp(dir=cache.parent, prefix="cache-.new-"))
    except OSError as error:
        raise DataError(f"{cache}: the cache cannot be written ({error.strerror})") from error
    try:
        index = _decode(temporary, shards, total, progress)
        (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
        try:
            temporary.rename(cache)
        except OSError:
            if not cache.is_dir():  # else another training was faster, with the same result
                raise
    except OSError as error:
        raise DataError(f"{cache}: the cache cannot be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _decode(
    folder: Path, shards: Sequence[Path], total: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Write the arrays, and return the index."""
    known: dict[bytes, int] = {}
    rows: list[list[Any]] = []
    unedited: dict[int, str] = {}
    side = 0
    raw = {name: folder / f"{name}.raw" for name in ("pictures", "views")}
    mesher, meshes = default_mesher(), list[NDArray[np.float32]]()
    with raw["pictures"].open("wb") as pictures, raw["views"].open("wb") as views:
        for shard in shards:
            for key, members in iterate_samples(shard):
                places = []
                try:
                    labels = decode_labels(members["json"], f"{shard}: {key}")
                    # a triplet without a truth has its target there
                    data = [members.get(f"{n}.jpg", members["target.jpg"]) for n in PICTURES]
                except KeyError as error:
                    raise DataError(f"{shard}: the triplet {key} has no {error}") from error
                for name, one in zip(PICTURES, data, strict=True):
                    digest = hashlib.sha256(one).digest()
                    if digest not in known:
                        image = decode_picture(one)
                        side = side or image.shape[0]
                        if image.shape != (side, side, 3):
                            raise DataError(f"{shard}: {key}: a picture of {image.shape[:2]}")
                        known[digest] = len(known)
                        pictures.write(image.tobytes())
                        views.write(identity_view(image).tobytes())
                        meshes.append(_mesh_of(image, mesher))
                    places.append(known[digest])
                    about = labels["pictures"].get(name)
                    if about is not None and not about["edits"]:
                        unedited[known[digest]] = str(about["person"])
                weight = float(labels["weight"]) if "truth.jpg" in members else 0.0
                rows.append([str(labels["kind"]), weight, *places])
                progress(len(rows), total)
    if not rows:
        raise DataError(f"{folder.parent}: the set holds no triplet")
    for name, size in (("pictures", side), ("views", VIEW)):
        _with_header(raw[name], folder / f"{name}.npy", (len(known), size, size, 3))
    np.save(folder / "meshes.npy", np.stack(meshes))
    return {"format": _FORMAT, "rows": rows, "unedited": sorted(unedited.items())}


def _mesh_of(crop: NDArray[np.uint8], mesher: Mesher) -> NDArray[np.float32]:
    """(478, 3) mesh of the face in a canonical crop, in its pixels."""
    place = canonical_points()[:, :2] * (crop.shape[0] / 256)
    x0, y0, x1, y1 = (float(v) for v in (*place.min(0), *place.max(0)))
    found = Detection((x0, y0, x1, y1), 1.0, five_points(place).astype(np.float32))
    mesh, _ = mesher.predict(crop, found)
    return np.asarray(mesh, np.float32)


def _with_header(raw: Path, path: Path, shape: tuple[int, ...]) -> None:
    """Make a .npy file of bytes whose number was not known before."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as out, raw.open("rb") as stream:
        np.lib.format.write_array_header_1_0(out, header)
        shutil.copyfileobj(stream, out, 1 << 22)
    raw.unlink()
