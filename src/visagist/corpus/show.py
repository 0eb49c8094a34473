"""Contact sheets of a corpus: chosen faces with their meshes and label maps drawn."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import FaceCache, load_faces
from visagist.corpus.feed.recrop import decode_labels, recrop, recrop_points
from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.index import Record
from visagist.corpus.sample import Quality, Sample
from visagist.errors import DataError, InputError
from visagist.face.parts import Part
from visagist.face.raster import catmull_rom
from visagist.face.regions import RIGHT_BROW_OUTLINE, Regions, mirrored, region_masks
from visagist.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    N_SKIN_POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
)
from visagist.photo.sheet import grid
from visagist.training.augmentation import OPERATIONS, AugmentConfig

DRAWINGS = ("mesh", "parts", "depth")
FIELDS = (*(field.name for field in fields(Quality)), "confidence")
FOOTER = "contains pictures that must not be published"

COLOURS: dict[Part, tuple[int, int, int]] = {
    Part.BACKGROUND: (40, 44, 52),
    Part.SKIN: (236, 188, 150),
    Part.LIPS: (214, 40, 70),
    Part.MOUTH: (120, 10, 60),
    Part.EYES: (40, 110, 235),
    Part.BROWS: (120, 70, 30),
    Part.HAIR: (150, 80, 200),
    Part.GLASSES: (0, 190, 200),
    Part.OCCLUDER: (245, 205, 30),
    Part.CLOTHES: (70, 150, 70),
}
"""Colours of a drawn label map."""

_LINES = (
    ((FACE_OVAL,), (255, 255, 255)),
    ((RIGHT_EYE, LEFT_EYE), (80, 200, 255)),
    ((RIGHT_IRIS, LEFT_IRIS), (255, 230, 60)),
    ((RIGHT_BROW_OUTLINE, mirrored(RIGHT_BROW_OUTLINE)), (255, 160, 40)),
    ((LIPS_OUTER, LIPS_INNER), (255, 70, 110)),
)
# Low values of these are bad, high values of the next; of the others what is far from the middle.
_LOW = ("face_width", "sharpness", "contrast", "confidence")
_HIGH = ("clipped", "occluded", "mouth_open")


def choose(
    corpus: Corpus,
    count: int,
    *,
    splits: Iterable[str] = (),
    sources: Iterable[str] = (),
    kinds: Iterable[str] = (),
    use: str | None = None,
    sort: str = "random",
    worst: str | None = None,
    seed: int = 0,
) -> list[Record]:
    """Samples to look at.

    Args:
        corpus: where from.
        count: how many at most.
        splits: only these; empty for all.
        sources: only these; empty for all.
        kinds: only these; empty for all.
        use: only what may be used for this.
        sort: ``random``, or a figure: then evenly spread from its lowest to its highest value.
        worst: a figure: only the worst by it, the worst first. Low is bad for the width, the
            sharpness, the contrast and the confidence, high for what is clipped, covered or open;
            for the rest what is farthest from the median.
        seed: of the random choice.

    Raises:
        InputError: an unknown figure.
        DataError: no sample fits.
    """
    wanted = set(sources)
    records = [
        record
        for record in corpus.select(
            splits=tuple(splits) or None, kinds=tuple(kinds) or None, use=use
        )
        if not wanted or record.origin.source in wanted
    ]
    if not records:
        raise DataError(f"{corpus.path}: no sample fits what was asked for")
    if worst is not None:
        badness = _badness(worst, records)
        order = np.argsort(-badness, kind="stable")[:count]
    elif sort == "random":
        order = np.random.default_rng(seed).permutation(len(records))[:count]
    else:
        order = np.argsort(_values(sort, records), kind="stable")
        order = order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))]
    return [records[int(i)] for i in order]


def sheet(
    corpus: Corpus,
    records: Sequence[Record],
    *,
    draw: Sequence[str] = (),
    figure: str | None = None,
    zoom: float | None = None,
    columns: int = 8,
    cell: int = 200,
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.uint8]:
    """A contact sheet (H, W, 3), each face over its source, split and maybe a figure.

    Where a sample must not be shown, the sheet says so in its last line.

    Args:
        corpus: where the samples lie.
        records: which samples.
        draw: any of :data:`DRAWINGS`; each adds a picture beside the bare one.
        figure: the figure to write under each face.
        zoom: show only so much of each crop, in canonical crops; all of it by default.
        columns: pictures in a row.
        cell: side of a picture in pixels.
        progress: called with the number of faces done.

    Raises:
        DataError: a sample is damaged.
        InputError: an unknown figure or drawing.
    """
    if unknown := set(draw) - set(DRAWINGS):
        raise InputError(f"{', '.join(sorted(unknown))}: drawings are {', '.join(DRAWINGS)}")
    values = None if figure is None else _values(figure, records)
    pictures, captions = [], []
    for i, record in enumerate(records):
        sample = corpus.load(record)
        pictures.append(drawn(sample, draw, cell, zoom))
        told = "" if values is None else f" {values[i]:.3g}"
        captions.append(f"{record.origin.source} {record.split}{told}")
        progress(i + 1)
    wide = 1 + len(draw)
    page = grid(pictures, captions, columns=max(1, columns // wide), cell=(wide * cell, cell))
    return with_footer(page, records)


def augmented_sheet(
    corpus: Corpus,
    records: Sequence[Record],
    config: FeedConfig,
    augmentation: AugmentConfig,
    views: Callable[[FaceCache, AugmentConfig], NDArray[np.uint8]],
    *,
    cell: int = 200,
) -> NDArray[np.uint8]:
    """What a training sees: a row undisturbed, one for each operation alone, then all together.

    Where an operation stands alone it falls on every picture, so that it can be seen; in the last
    rows it has the recipe's share.

    Args:
        corpus: where the samples lie.
        records: one a column.
        config: the recipe's ``data`` section.
        augmentation: the recipe's ``augment`` section.
        views: a training's own way from faces to what its network sees, (N, S, S, 3).
        cell: side of a picture in pixels.

    Raises:
        DataError: a sample is damaged.
    """
    faces = load_faces(corpus, records, config)
    rows = [("undisturbed", augmentation.switched())]
    rows += [(name, augmentation.switched(name).everywhere()) for name in OPERATIONS]
    rows = rows[:1] + [row for row in rows[1:] if row[1].disturbs]
    rows += [("all together", augmentation)] * 3
    pictures: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for name, setting in rows:
        pictures += list(views(faces, setting))
        captions += [name] * len(records)
    return with_footer(grid(pictures, captions, columns=len(records), cell=cell), records)


def with_footer(page: NDArray[np.uint8], records: Iterable[Record]) -> NDArray[np.uint8]:
    """The page, and below it a warning where one of its pictures must not be shown."""
    if all(record.origin.may_show for record in records):
        return page
    height = 28
    footer = Image.new("RGB", (page.shape[1], height), (170, 20, 20))
    font = ImageFont.load_default(size=15)
    ImageDraw.Draw(footer).text((10, height / 2), FOOTER, (255, 255, 255), font=font, anchor="lm")
    return np.concatenate([page, np.asarray(footer)])


def drawn(
    sample: Sample, draw: Sequence[str], cell: int, zoom: float | None = None
) -> NDArray[np.uint8]:
    """A sample at ``cell`` pixels, bare, and with each drawing in its own picture beside it."""

    def cut(picture: NDArray[np.uint8], *, labels: bool = False) -> NDArray[np.uint8]:
        return recrop(picture, sample.zoom, size=cell, to_zoom=zoom or sample.zoom, labels=labels)

    bare = cut(sample.image)
    panels = [bare]
    for what in draw:
        if what == "mesh":
            side = len(sample.image)
            mesh = recrop_points(
                sample.mesh, side, sample.zoom, size=cell, to_zoom=zoom or sample.zoom
            )
            panels.append(draw_mesh(bare, mesh))
        elif what == "parts":
            panels.append(draw_parts(bare, cut(parts_of(sample), labels=True)))
        elif what == "depth":
            panels.append(cut(_depth(sample)))
    return np.concatenate(panels, axis=1)


def draw_mesh(picture: NDArray[np.uint8], mesh: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Points of a (478, 3) mesh in picture pixels, and lines along what they outline."""
    scale = 2  # drawn larger and reduced, which is how Pillow's lines become smooth
    image = Image.fromarray(picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    points = np.asarray(mesh)[:, :2] * scale
    for x, y in points[:N_SKIN_POINTS]:
        draw.rectangle((x - 1, y - 1, x, y), (120, 255, 140))
    for rings, colour in _LINES:
        for ring in rings:
            curve = catmull_rom(points[list(ring)])
            draw.line([*map(tuple, curve), tuple(curve[0])], colour, scale)
    return np.asarray(image.resize((image.width // scale,) * 2, Image.Resampling.BOX))


def parts_of(sample: Sample) -> NDArray[np.uint8]:
    """The sample's own label map (S, S), or one drawn from its mesh, which knows no hair."""
    if "parts.png" in sample.extras:
        return decode_labels(sample.extras["parts.png"])
    return mesh_parts(region_masks(sample.mesh, len(sample.image)))


def mesh_parts(masks: Regions) -> NDArray[np.uint8]:
    """A label map from the soft masks of a mesh: skin, lips, mouth, eyes and brows."""
    labels = np.zeros(masks.skin.shape, np.uint8)
    for part in (Part.SKIN, Part.BROWS, Part.LIPS, Part.MOUTH, Part.EYES):
        labels[getattr(masks, part.name.lower()) > 0.5] = part
    return labels


def draw_parts(picture: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours of a label map over a picture; what has no known value is pink."""
    table = np.full((256, 3), (255, 0, 255), np.uint8)
    for part, colour in COLOURS.items():
        table[part] = colour
    mixed = 0.45 * picture.astype(np.float32) + 0.55 * table[labels]
    return mixed.astype(np.uint8)


def _depth(sample: Sample) -> NDArray[np.uint8]:
    """The depth map of 8 or 16 bits as (S, S, 3), stretched over what it holds; 0 is empty."""
    if "depth.png" not in sample.extras:
        return np.full(sample.image.shape, 128, np.uint8)
    with Image.open(io.BytesIO(sample.extras["depth.png"]), formats=("PNG",)) as image:
        depth = np.asarray(image).astype(np.float32)
    inside = depth > 0
    if inside.any():
        low, high = float(depth[inside].min()), float(depth[inside].max())
        depth = np.where(inside, 235 - 200 * (depth - low) / max(high - low, 1.0), 0)
    return np.repeat(depth.astype(np.uint8)[..., None], 3, axis=2)


def _values(figure: str, records: Sequence[Record]) -> NDArray[np.float64]:
    if figure not in FIELDS:
        raise InputError(f"{figure!r} is no figure; there are {', '.join(FIELDS)}")
    if figure == "confidence":
        return np.array([record.confidence for record in records], np.float64)
    return np.array([getattr(record.quality, figure) for record in records], np.float64)


def _badness(figure: str, records: Sequence[Record]) -> NDArray[np.float64]:
    values = _values(figure, records)
    if figure in _LOW:
        return -values
    return values if figure in _HIGH else np.abs(values - np.median(values))
