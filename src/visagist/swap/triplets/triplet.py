"""One triplet, in memory and as members of a WebDataset shard.

Members: ``KEY.source.jpg``, ``KEY.target.jpg``, ``KEY.truth.jpg`` and ``KEY.json``. All pictures
are canonical crops (``face/align``) of one size. Kinds without a truth are never written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.shards import Members, encode_json
from visagist.errors import DataError
from visagist.photo import Photo
from visagist.swap.triplets.config import Kind
from visagist.swap.triplets.faces import Face

PICTURES = ("source", "target", "truth")


@dataclass(frozen=True)
class Triplet:
    """What a swap network learns from.

    Attributes:
        key: unique in a set and the same in every run.
        kind: how it was made.
        source: who the result shall be.
        target: the picture that the result shall keep, but for who it is.
        truth: the result.
        weight: of the loss against the truth.
        gates: the figures that it passed by.
    """

    key: str
    kind: Kind
    source: Face
    target: Face
    truth: Face
    weight: float
    gates: Mapping[str, float]


def encode_triplet(triplet: Triplet, *, quality: int = 95) -> Members:
    """(file name, content) of each member."""
    faces = {name: getattr(triplet, name) for name in PICTURES}
    pictures: dict[str, bytes] = {}
    for name, face in faces.items():
        crop = Photo.from_array(face.crop)
        pictures[name] = crop.to_bytes("JPEG", quality=quality)
    members = [(f"{triplet.key}.{name}.jpg", data) for name, data in pictures.items()]
    return [*members, (f"{triplet.key}.json", encode_json(labels_of(triplet)))]


def labels_of(triplet: Triplet) -> dict[str, Any]:
    """Everything but the pictures, as JSON."""
    faces = {name: getattr(triplet, name) for name in PICTURES}
    origins = [face.origin for face in faces.values()]
    licences = sorted({part for o in origins for part in o.licence.split(" AND ") if part})
    return {
        "key": triplet.key,
        "kind": triplet.kind,
        "weight": triplet.weight,
        "pictures": {
            name: {
                "sample": face.key,
                "person": face.person,
                "kind": face.origin.kind,
                "edits": list(face.edits),
            }
            for name, face in faces.items()
        },
        "licence": " AND ".join(licences),
        "may_show": all(origin.may_show for origin in origins),
        "gates": {name: round(float(value), 4) for name, value in triplet.gates.items()},
    }


def decode_labels(data: bytes, where: str) -> dict[str, Any]:
    """The labels of a triplet.

    Raises:
        DataError: they are damaged.
    """
    try:
        labels: dict[str, Any] = json.loads(data)
        str(labels["key"]), str(labels["kind"]), float(labels["weight"])
        for name in ("source", "target"):
            str(labels["pictures"][name]["person"]), list(labels["pictures"][name]["edits"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: the labels of a triplet are damaged ({error}); delete the shard and its "
            "report, and `visagist triplets` makes them again"
        ) from error
    return labels


def change_of(
    one: NDArray[np.uint8], other: NDArray[np.uint8], where: NDArray[np.floating]
) -> float:
    """Mean absolute difference in levels, weighted."""
    difference = np.abs(one.astype(np.float32) - other).mean(2)
    return float((difference * where).sum() / max(float(where.sum()), 1e-6))
