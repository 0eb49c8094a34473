"""Reads a tree of labelled faces: pictures, meshes and an identity split.

Layout::

    ROOT/splits.csv            file,identity,split      (file = FOLDER/NAME)
    ROOT/labels/FOLDER.npz     image, box, points5, mesh16 (sixteenths of a pixel), mesh_ok, angles
    ROOT/FOLDER/NAME           the pictures
    ROOT/FOLDER/index.csv      optional; ``generator`` and ``grey`` columns are read
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.sample import SPLITS
from visagist.errors import DataError


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """One picture with its labels.

    Attributes:
        path: the picture.
        name: ``FOLDER/NAME``, unique in the tree.
        identity: the person; a person is in one split only.
        split: train, validation or test.
        box: x0, y0, x1, y1 in pixels.
        points5: (5, 2) float32, eyes, nose tip, mouth corners; image left first.
        mesh: (478, 3) float32 in pixels.
        yaw: degrees, a rough estimate.
        generator: what made the picture, empty for photographs.
    """

    path: Path
    name: str
    identity: str
    split: str
    box: tuple[float, float, float, float]
    points5: NDArray[np.float32]
    mesh: NDArray[np.float32]
    yaw: float
    generator: str


def read_faces(
    root: Path,
    *,
    folders: Sequence[str],
    splits: Iterable[str] = SPLITS,
    without_generators: Iterable[str] = (),
) -> list[LabelledFace]:
    """Every labelled face of ``folders`` whose identity is in ``splits``, sorted by name.

    Args:
        root: the tree.
        folders: which folders to read.
        splits: any of train, validation, test.
        without_generators: generators whose terms forbid the use; their pictures are left out.

    Raises:
        DataError: a file of the layout is missing or does not fit the others.
    """
    assignments = read_splits(root / "splits.csv")
    wanted, refused = set(splits), set(without_generators)
    faces: list[LabelledFace] = []
    for folder in folders:
        generators = read_generators(root / folder / "index.csv")
        for face in _read_folder(root, folder, assignments, generators):
            if face.split in wanted and face.generator not in refused:
                faces.append(face)
    if not faces:
        raise DataError(f"{root}: no labelled face in {', '.join(folders)} for {sorted(wanted)}")
    return sorted(faces, key=lambda face: face.name)


def sample_faces(
    root: Path, *, folders: Sequence[str], split: str, limit: int | None = None
) -> list[LabelledFace]:
    """The faces of one split for an evaluation.

    Args:
        root: the tree.
        folders: which folders; those that the tree lacks are left out.
        split: train, validation or test.
        limit: at most so many faces, evenly spread over the sorted names.

    Raises:
        DataError: as :func:`read_faces`.
    """
    present = [f for f in folders if (root / "labels" / f"{f}.npz").is_file()]
    faces = read_faces(root, folders=present or folders, splits=(split,))
    if limit is None or limit >= len(faces):
        return faces
    return [faces[int(i)] for i in np.linspace(0, len(faces) - 1, limit)]


def read_splits(path: Path) -> dict[str, tuple[str, str]]:
    """Identity and split by ``FOLDER/NAME``.

    Raises:
        DataError: unreadable, a column is missing, or a person is in two splits.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = {r["file"]: (r["identity"], r["split"]) for r in csv.DictReader(stream)}
    except OSError as error:
        raise DataError(f"{path}: cannot read the splits ({error.strerror})") from error
    except KeyError as error:
        raise DataError(f"{path}: column {error} is missing") from error
    homes: dict[str, str] = {}
    for name, (identity, split) in rows.items():
        if homes.setdefault(identity, split) != split:
            raise DataError(f"{path}: identity {identity} of {name} is in two splits")
    return rows


def read_generators(path: Path) -> dict[str, str]:
    """Generator by ``NAME``; empty without the file."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row.get("generator", "") for row in csv.DictReader(stream)}


def _read_folder(
    root: Path,
    folder: str,
    assignments: dict[str, tuple[str, str]],
    generators: dict[str, str],
) -> Iterable[LabelledFace]:
    path = root / "labels" / f"{folder}.npz"
    try:
        # np.load leaves a broken file open when it is given the path
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            labels = {
                k: data[k] for k in ("image", "box", "points5", "mesh16", "mesh_ok", "angles")
            }
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path}: cannot read the labels ({error})") from error
    meshes = labels["mesh16"].astype(np.float32) / 16
    for i, image in enumerate(labels["image"]):
        name = f"{folder}/{image}"
        if not labels["mesh_ok"][i]:
            continue
        if name not in assignments:
            raise DataError(f"{root / 'splits.csv'}: {name} has no split")
        identity, split = assignments[name]
        x, y, w, h = (float(v) for v in labels["box"][i])
        yield LabelledFace(
            path=root / folder / str(image),
            name=name,
            identity=identity,
            split=split,
            box=(x, y, x + w, y + h),
            points5=labels["points5"][i].astype(np.float32),
            mesh=meshes[i],
            yaw=float(labels["angles"][i, 0]),
            generator=generators.get(str(image), ""),
        )
