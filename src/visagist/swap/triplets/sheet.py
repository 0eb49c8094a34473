"""A sheet of triplets to look at: source, target, truth, and what kind they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visagist.corpus.shards import decode_picture, iterate_samples
from visagist.errors import DataError, InputError
from visagist.swap.triplets.triplet import PICTURES, decode_labels

_SIDE, _LINE = 144, 26


def sheet(
    folder: Path, *, per_kind: int = 8, kinds: tuple[str, ...] = (), showable: bool = False
) -> NDArray[np.uint8]:
    """The first triplets of each kind, a row of cells a kind.

    Args:
        folder: a set of triplets.
        per_kind: how many of each.
        kinds: only these; all where empty.
        showable: only pictures that may appear in documentation.

    Raises:
        InputError: there is no such triplet.
        DataError: a shard is damaged.
    """
    found: dict[str, list[Image.Image]] = {}
    for path in sorted(folder.glob("part-*.tar")):
        for _, members in iterate_samples(path):
            try:
                labels = decode_labels(members["json"], str(path))
            except KeyError as error:
                raise DataError(f"{path}: a triplet has no labels; build the set again") from error
            kind = labels["kind"]
            if (kinds and kind not in kinds) or (showable and not labels["may_show"]):
                continue
            cells = found.setdefault(kind, [])
            if len(cells) < per_kind:
                pictures = [decode_picture(members[f"{name}.jpg"]) for name in PICTURES]
                cells.append(_cell(pictures, labels))
    if not found:
        raise InputError(f"{folder}: no triplet to show")
    columns = min(4, per_kind)
    rows = [
        cells[k : k + columns]
        for _, cells in sorted(found.items())
        for k in range(0, len(cells), columns)
    ]
    width, height = rows[0][0].size
    page = Image.new("RGB", (columns * (width + 6), len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            page.paste(cell, (x * (width + 6), y * height))
    return np.asarray(page)


def _cell(pictures: list[NDArray[np.uint8]], labels: dict[str, object]) -> Image.Image:
    cell = Image.new("RGB", (3 * _SIDE, _SIDE + _LINE), "white")
    for k, picture in enumerate(pictures):
        cell.paste(Image.fromarray(picture).resize((_SIDE, _SIDE)), (k * _SIDE, 0))
    gates = labels["gates"]
    assert isinstance(gates, dict)
    faces = labels["pictures"]
    assert isinstance(faces, dict)
    edits = [*faces["source"]["edits"], "|", *faces["target"]["edits"]]
    text = ImageDraw.Draw(cell)
    cosine = f" {gates['cosine']:.2f}" if "cosine" in gates else ""
    text.text((2, _SIDE), f"{labels['kind']}{cosine}", fill="black")
    text.text((2, _SIDE + 12), " ".join(edits)[:70], fill="black")
    return cell
