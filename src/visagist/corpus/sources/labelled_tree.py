"""A tree of labelled faces as :mod:`visagist.corpus.labelled` describes it.

Layout::

    ROOT/splits.csv            file,identity,split
    ROOT/labels/FOLDER.npz     box, five points and mesh of every picture
    ROOT/FOLDER/NAME           the pictures
    ROOT/FOLDER/index.csv      optional: the generator of generated pictures

Boxes, points and meshes come along as given labels; a picture without a mesh is listed without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from visagist.corpus.labelled import LabelledFace, read_faces, read_generators, read_splits
from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import GivenLabels
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import subfolders
from visagist.corpus.task import SkippedItemError
from visagist.errors import DataError

TERMS = Terms(
    title="A tree of labelled faces",
    page="",
    licence="",
    commercial="ask",
    note="Whatever its data sheet says; a recipe states licence and uses of each folder.",
    identity="`splits.csv`, which also fixes the split.",
    provenance="The generator of generated pictures, from `index.csv`.",
)
_KEPT_FOLDERS = 8  # labels of so many folders are kept in memory by a worker


@dataclass(frozen=True, slots=True)
class GivenFace:
    """Labels of one picture of the tree.

    Attributes:
        root: the tree.
        folder: which folder's labels.
        name: ``FOLDER/NAME``.
    """

    root: str
    folder: str
    name: str

    def load(self) -> GivenLabels:
        """Read them; the folder's labels are read once a process.

        Raises:
            SkippedItemError: they cannot be read.
        """
        try:
            face = _faces(self.root, self.folder).get(self.name)
        except DataError as error:
            raise SkippedItemError("labels", str(error)) from error
        if face is None:
            return GivenLabels()
        return GivenLabels(mesh=face.mesh, box=face.box, points5=face.points5)


def recognise(root: Path, names: Sequence[str]) -> str:
    """The split table and a folder of labels."""
    found = (root / "splits.csv").is_file() and any((root / "labels").glob("*.npz"))
    return "splits.csv and labels" if found else ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture that the split table names, folder by folder, sorted by name.

    Raises:
        DataError: the table, a folder or its labels are missing or do not fit.
    """
    assigned = read_splits(root / "splits.csv")
    by_folder: dict[str, list[str]] = {}
    for name in sorted(assigned):
        by_folder.setdefault(name.partition("/")[0], []).append(name)
    subfolders(root, folders)
    for folder in folders or by_folder:
        generators = read_generators(root / folder / "index.csv")
        labelled: Mapping[str, LabelledFace] = _faces(str(root), folder)
        for name in by_folder.get(folder, []):
            identity, split = assigned[name]
            generator = generators.get(name.partition("/")[2], "")
            yield Picture(
                name,
                name,
                identity=identity,
                split=split,
                kind="generated" if generator else None,
                generator=generator,
                given=GivenFace(str(root), folder, name) if name in labelled else None,
            )


def _faces(root: str, folder: str) -> Mapping[str, LabelledFace]:
    path = Path(root, "labels", f"{folder}.npz")
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise DataError(f"{path}: cannot read the labels ({error.strerror})") from error
    return _loaded(root, folder, changed)


@lru_cache(maxsize=_KEPT_FOLDERS)
def _loaded(root: str, folder: str, changed: int) -> Mapping[str, LabelledFace]:
    """``changed`` only makes labels that were written again a new entry of the cache."""
    del changed
    return {face.name: face for face in read_faces(Path(root), folders=[folder])}


LAYOUT = Layout("labelled", TERMS, recognise, read)
