"""Packs of aligned face crops: one file that a trainer, or a rented GPU, reads in one go.

A pack is an ``.npz`` without pickles: the JPEG bytes of every crop end to end, their offsets, and
the mesh of each face in crop pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.labelled import LabelledFace, read_faces
from visagist.errors import DataError
from visagist.face.align import align, crop


class PackConfig(BaseModel):
    """Which labelled faces a training sees, and how they are cropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folders: tuple[str, ...] = Field(description="folders of the labelled tree")
    without_generators: tuple[str, ...] = Field(
        (), description="generators whose terms forbid training on their pictures"
    )
    size: int = Field(320, description="side of a crop in pixels", ge=16, le=2048)
    zoom: float = Field(1.25, description="field of view in canonical crops", gt=0)
    quality: int = Field(92, description="JPEG quality of the crops", ge=1, le=100)


@dataclass(frozen=True, slots=True)
class Pack:
    """Decoded aligned crops.

    Attributes:
        crops: (N, S, S, 3) uint8.
        meshes: (N, 478, 3) float32 in crop pixels.
        names: FOLDER/NAME of each.
        splits: train, validation or test of each.
        zoom: canonical crops per pack crop, 1 for the canonical crop, 2 for twice its field.
    """

    crops: NDArray[np.uint8]
    meshes: NDArray[np.float32]
    names: tuple[str, ...]
    splits: tuple[str, ...]
    zoom: float

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, split: str) -> Pack:
        """The faces of one split."""
        keep = [i for i, s in enumerate(self.splits) if s == split]
        if not keep:
            raise DataError(f"the pack holds no face of the split {split!r}")
        return Pack(
            self.crops[keep],
            self.meshes[keep],
            tuple(self.names[i] for i in keep),
            tuple(self.splits[i] for i in keep),
            self.zoom,
        )


def write_pack(
    faces: Sequence[LabelledFace],
    path: Path,
    *,
    size: int,
    zoom: float,
    quality: int = 92,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, str]:
    """Crop and encode every face into one file; unreadable pictures are left out and reported.

    Args:
        faces: what to pack.
        path: the ``.npz`` to write (replaced only when complete).
        size: side of a crop in pixels.
        zoom: field of view in canonical crops.
        quality: JPEG quality of the crops, 4:4:4.
        progress: called with the number of faces done.

    Returns:
        name -> reason for each picture that was left out.
    """
    skipped: dict[str, str] = {}
    blobs: list[bytes] = []
    meshes: list[NDArray[np.float32]] = []
    kept: list[LabelledFace] = []
    for done, face in enumerate(faces, 1):
        try:
            with Image.open(face.path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            skipped[face.name] = str(error)
            continue
        alignment = align(face.mesh, size).widened(zoom)
        stream = io.BytesIO()
        Image.fromarray(crop(pixels, alignment)).save(
            stream, "JPEG", quality=quality, subsampling=0
        )
        blobs.append(stream.getvalue())
        meshes.append(alignment.to_crop(face.mesh))
        kept.append(face)
        progress(done)
    if not kept:
        raise DataError("no face could be packed; the report names the reasons")
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as out:
        np.savez(
            out,
            jpeg=np.frombuffer(b"".join(blobs), np.uint8),
            ends=np.cumsum([len(b) for b in blobs]),
            mesh=np.stack(meshes).astype(np.float32),
            name=np.array([f.name for f in kept]),
            split=np.array([f.split for f in kept]),
            zoom=np.float64(zoom),
        )
    temporary.replace(path)
    return skipped


def read_pack(path: Path) -> Pack:
    """Read and decode a pack.

    Raises:
        DataError: the file is missing or not a pack.
    """
    try:
        # np.load leaves a broken file open when it is given the path
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            blob, ends = data["jpeg"].tobytes(), data["ends"]
            meshes, names, splits = data["mesh"], data["name"], data["split"]
            zoom = float(data["zoom"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path}: not a pack of faces ({error})") from error
    starts = np.concatenate([[0], ends[:-1]])

    def decode(i: int) -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(blob[starts[i] : ends[i]])) as image:
            return np.asarray(image.convert("RGB"))

    with ThreadPoolExecutor() as pool:  # libjpeg releases the GIL
        crops = np.stack(list(pool.map(decode, range(len(ends)))))
    return Pack(crops, meshes, tuple(map(str, names)), tuple(map(str, splits)), zoom)


def pack_for_training(root: Path, path: Path, config: PackConfig) -> Pack:
    """The training and validation faces of a tree, packed at ``path`` on the first call.

    Raises:
        DataError: the tree or an existing pack cannot be read.
    """
    if not path.is_file():
        faces = read_faces(
            root,
            folders=config.folders,
            splits=("train", "validation"),
            without_generators=config.without_generators,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pack(faces, path, size=config.size, zoom=config.zoom, quality=config.quality)
    return read_pack(path)
