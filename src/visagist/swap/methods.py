"""What is measured side by side: the untouched target, a mesh warp without network, and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.labelled import LabelledFace
from visagist.errors import FaceError
from visagist.face.align import crop
from visagist.face.find import Mesher, default_mesher
from visagist.face.identity import Judge
from visagist.face.parser.inference import Parser
from visagist.face.paste import paste_crop, paste_residual
from visagist.face.types import Detection, Face
from visagist.photo import Photo
from visagist.runtime.store import ModelFiles
from visagist.swap.guide import guide
from visagist.swap.inference import CONSTANTS, NETWORKS, Precision, Swapper, soft_mask
from visagist.swap.types import Encoder, Identity, Look

__all__ = [
    "CLASSICAL",
    "GUIDE",
    "UNTOUCHED",
    "Method",
    "Scene",
    "Side",
    "Warp",
    "classical",
    "guide_alone",
    "model_method",
    "untouched",
]

Pixels = NDArray[np.uint8]
UNTOUCHED, CLASSICAL, GUIDE = "untouched target", "mesh warp", "guide alone"
_AROUND = 0.75
"""What is kept of a photo on each side of a face's crop, in crops: all that any step looks at."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One picture of a pair, as every method sees it.

    Attributes:
        name: ``FOLDER/NAME``.
        identity: the person.
        pixels: the photo around the face.
        face: as our detector's box and our mesh network say.
        vector: the judge's.
    """

    name: str
    identity: str
    pixels: Pixels
    face: Face
    vector: NDArray[np.float32]

    @classmethod
    def of(cls, labelled: LabelledFace, judge: Judge, mesher: Mesher | None = None) -> Side:
        """Read a labelled picture.

        The labels say where the face is; the mesh is our network's, as it will be of results, so
        that both err alike.

        Raises:
            PhotoError: the picture cannot be read.
            FaceError: the face lies outside of it.
        """
        pixels = Photo.open(labelled.path).pixels
        found = Detection(labelled.box, 1.0, labelled.points5)
        mesh, confidence = (mesher or default_mesher()).predict(pixels, found)
        part, moved = _around(pixels, Face(found, mesh, confidence))
        vector = judge(part, moved.mesh)
        return cls(labelled.name, labelled.identity, part, moved, vector)


def _around(pixels: Pixels, face: Face) -> tuple[Pixels, Face]:
    """The part of a photo around a face, and the face in it."""
    alignment = face.alignment()
    low, high = -_AROUND * alignment.size, (1 + _AROUND) * alignment.size
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    places = alignment.to_photo(corners)
    x0, y0 = (max(0, int(v)) for v in np.floor(places.min(0)))
    x1, y1 = (int(v) for v in np.ceil(places.max(0)))
    part = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    if part.size == 0:
        raise FaceError("the face lies outside the photo")
    a, b, c, d = face.detection.box
    points = face.detection.points
    moved = None if points is None else (points - np.array([x0, y0])).astype(np.float32)
    detection = Detection((a - x0, b - y0, c - x0, d - y0), face.detection.score, moved)
    mesh = (face.mesh - np.array([x0, y0, 0])).astype(np.float32)
    return part, Face(detection, mesh, face.confidence)


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One row of the table.

    Attributes:
        label: its name.
        swap: source, target's pixels and target's face to the photo with the new face; the pixels
            themselves where the method refuses.
        facts: ``params``, ``gmac``, ``megabytes`` where they are known.
    """

    label: str
    swap: Callable[[Side, Pixels, Face], Pixels]
    facts: Mapping[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A target with a cover and without.

    Attributes:
        plain: (S, S, 3) the target around its face.
        covered: the same with things in front of it.
        face: the face in both; its mesh is that of the uncovered picture.
        hidden: (S, S) pixels of the covers that lie inside the face's oval.
    """

    plain: Pixels
    covered: Pixels
    face: Face
    hidden: NDArray[np.bool_]


Warp = Callable[
    [Pixels, NDArray[np.float32], Pixels, NDArray[np.float32]], tuple[Pixels, NDArray[np.float32]]
]
"""Source crop and mesh, target crop and mesh, to the swapped crop and its mask."""


def untouched() -> Method:
    """The floor: what the figures say where nothing was done."""
    return Method(UNTOUCHED, lambda source, pixels, face: pixels)


def classical(warp: Warp) -> Method:
    """A swap without a network, pasted back like every swap.

    Args:
        warp: :func:`~visagist.swap.classical.classical_swap`, which needs OpenCV and is therefore
            handed in.
    """

    def swap(source: Side, pixels: Pixels, face: Face) -> Pixels:
        ours, theirs = source.face.alignment(), face.alignment()
        view = crop(pixels, theirs)
        made, _ = warp(
            crop(source.pixels, ours),
            ours.to_crop(source.face.mesh),
            view,
            theirs.to_crop(face.mesh),
        )
        rim = soft_mask(np.ones(view.shape[:2], np.float32))
        change = (made.astype(np.float32) - view) * rim[..., None]
        return paste_residual(pixels, change, theirs)

    return Method(CLASSICAL, swap)


def guide_alone(*, shape: float = 0.6) -> Method:
    """What a guided network starts from, pasted as it is: what the network adds is the rest.

    Args:
        shape: share of the source's build.
    """

    def swap(source: Side, pixels: Pixels, face: Face) -> Pixels:
        look, theirs = Look.of(source.pixels, source.face), face.alignment()
        view = crop(pixels, theirs)
        laid = guide(look.crop, look.mesh, view, theirs.to_crop(face.mesh), shape=shape)
        return paste_crop(pixels, laid.picture.astype(np.float32), soft_mask(laid.share), theirs)

    return Method(GUIDE, swap)


def model_method(
    label: str,
    files: ModelFiles,
    encoder: Encoder,
    *,
    precision: Precision = "single",
    match_colour: bool = True,
    parser: Parser | None = None,
) -> Method:
    """A swap model as users run it, faces handed in.

    Args:
        label: of its row.
        files: the model.
        encoder: the recogniser that it was trained with.
        precision: which of its networks.
        match_colour: bring new faces into the photo's light.
        parser: keeps hair and what lies in front of faces, as the command does by default.

    Raises:
        ModelError: it is no swap model, or a file of it is damaged.
    """
    engine = Swapper(files, encoder=encoder, precision=precision, parser=parser)
    known: dict[str, Identity] = {}

    def swap(source: Side, pixels: Pixels, face: Face) -> Pixels:
        if source.name not in known:
            vector = encoder.embed(source.pixels, source.face)
            look = Look.of(source.pixels, source.face, engine.size, parser=parser)
            known[source.name] = engine.identity(vector, looks=[look])
        result = engine.swap(pixels, known[source.name], found=[face], match_colour=match_colour)
        return result.photo.pixels

    both = len(files.network(NETWORKS[precision])) + len(files.network(CONSTANTS))
    return Method(
        label,
        swap,
        {
            "model_id": engine.model_id,
            "params": files.config.get("params"),
            "gmac": files.config.get("gmac"),
            "megabytes": round(both / 1e6, 3),
        },
    )
