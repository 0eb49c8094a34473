"""A finished corpus of drawn faces, small enough for a test."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.labelled_tree import placed_face
from visagist.corpus.corpus import FORMAT, INDEX, REPORT, SHARDS, SUMMARY
from visagist.corpus.index import MESH_STEPS, SCHEMA, write_index
from visagist.corpus.make import make_sample
from visagist.corpus.sample import Origin, Sample
from visagist.corpus.shards import TarWriter, encode_sample, labels_of
from visagist.corpus.show import mesh_parts
from visagist.face.align import align, crop
from visagist.face.regions import region_masks

DETAIL = {
    "reason": "no_face",
    "detail": "no face was found",
    "key": "0",
    "source": "a",
    "item": "x",
}


def drawn_sample(
    number: int, *, size: int = 128, zoom: float = 2.0, parts: bool = False, **origin: object
) -> Sample:
    """Face ``number`` of the drawn ones, aligned as a build would."""
    picture, mesh = placed_face(number)
    alignment = align(mesh, size).widened(zoom)
    points = alignment.to_crop(mesh)
    extras: dict[str, bytes] = {}
    if parts:
        stream = io.BytesIO()
        Image.fromarray(mesh_parts(region_masks(points, size))).save(stream, "PNG")
        extras = {"parts.png": stream.getvalue()}
    named = {"source": "drawn", "item": f"{number}.png", "identity": f"drawn/{number}"}
    return make_sample(
        crop(picture, alignment),
        points,
        Origin(**(named | {"may_show": True} | origin)),  # type: ignore[arg-type]
        zoom=zoom,
        matrix=alignment.matrix,
        confidence=0.9,
        labels_from="given",
        face_width=float(np.ptp(mesh[:468, 0])),
        extras=extras,
        facts={"expression": "calm"} if number % 2 else {},
    )


def write_corpus(
    root: Path,
    samples: Iterable[tuple[Sample, str]],
    *,
    shard_size: int = 4,
    dropped: Iterable[Mapping[str, str]] = (),
) -> Path:
    """Write samples with their splits as ``visagist corpus build`` would, a shard of few each."""
    (root / SHARDS).mkdir(parents=True)
    by_split: dict[str, list[Sample]] = {}
    for sample, split in samples:
        by_split.setdefault(split, []).append(sample)
    rows: list[dict[str, object]] = []
    for split, faces in sorted(by_split.items()):
        for first in range(0, len(faces), shard_size):
            name = f"{split}-{first // shard_size:05d}.tar"
            rows += _shard(root / SHARDS / name, faces[first : first + shard_size], split)
    write_index(root / INDEX, rows)
    (root / REPORT).write_text("".join(json.dumps(line) + "\n" for line in dropped))
    digest = hashlib.sha256((root / INDEX).read_bytes()).hexdigest()
    summary = {"format": FORMAT, "images": len(rows), "index_sha256": digest}
    (root / SUMMARY).write_text(json.dumps(summary))
    return root


def _shard(path: Path, samples: list[Sample], split: str) -> list[dict[str, object]]:
    with path.open("wb") as stream:
        writer = TarWriter(stream)
        for sample in samples:
            writer.add(encode_sample(sample))
        writer.close()
    with tarfile.open(path) as tar:
        places = {m.name: (m.offset_data, m.size) for m in tar}
    rows = []
    for sample in samples:
        labels = labels_of(sample)
        origin = dict(labels["origin"])
        offset, length = places[f"{sample.key}.jpg"]
        row = {
            **{"given_split": origin.pop("split")},
            **origin,
            **labels["quality"],
            **{k: labels[k] for k in ("key", "zoom", "size", "matrix", "confidence")},
            "labels_from": sample.labels_from,
            "fingerprint": sample.fingerprint,
            "facts": json.dumps(dict(sample.facts)),
            "split": split,
            "mesh16": np.rint(sample.mesh * MESH_STEPS).astype(np.int16).ravel().tolist(),
            "extras": sorted(sample.extras),
            "shard": path.name,
            "offset": offset,
            "length": length,
        }
        rows.append({name: row.get(name) for name in SCHEMA.names})
    return rows


def drawn_corpus(
    root: Path, *, train: int = 8, validation: int = 3, test: int = 2, **sample: object
) -> Path:
    """So many drawn faces a split."""
    counts = {"train": train, "validation": validation, "test": test}
    splits = [split for split, n in counts.items() for _ in range(n)]
    return write_corpus(
        root,
        [(drawn_sample(i, **sample), split) for i, split in enumerate(splits)],  # type: ignore[arg-type]
        dropped=[DETAIL],
    )
