"""The index of a corpus: one Parquet row a sample, with every label and the picture's place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visagist.corpus.sample import LabelSource, Origin, Quality
from visagist.errors import DataError
from visagist.face.topology import N_POINTS

MESH_STEPS = 16
"""The index keeps meshes in sixteenths of a pixel, as int16."""
_ROWS = 4096  # of a row group: the writer holds so many in memory

_ORIGIN = {
    "uses": pa.list_(pa.string()),
    "parents": pa.list_(pa.string()),
    "may_show": pa.bool_(),
}
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        *(
            # the split of the corpus is its own column
            pa.field(
                "given_split" if f.name == "split" else f.name, _ORIGIN.get(f.name, pa.string())
            )
            for f in fields(Origin)
        ),
        *(pa.field(f.name, pa.float32()) for f in fields(Quality)),
        pa.field("split", pa.string()),
        pa.field("zoom", pa.float32()),
        pa.field("size", pa.int32()),
        pa.field("matrix", pa.list_(pa.float64())),
        pa.field("mesh16", pa.list_(pa.int16())),
        pa.field("confidence", pa.float32()),
        pa.field("labels_from", pa.string()),
        pa.field("fingerprint", pa.uint64()),
        pa.field("thumbnail", pa.binary()),
        pa.field("extras", pa.list_(pa.string())),
        pa.field("facts", pa.string()),
        pa.field("shard", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the index: all about a sample but its picture.

    Attributes:
        key: 16 hexadecimal digits.
        origin: where it comes from.
        quality: measured figures.
        split: train, validation or test.
        zoom: field of view in canonical crops.
        size: side of the crop in pixels.
        matrix: (2, 3) from photo pixels to crop pixels.
        mesh16: (478, 3) int16, the mesh in sixteenths of a crop pixel.
        confidence: 0..1, of the mesh.
        labels_from: given, network or exact.
        fingerprint: 64 bits of the appearance.
        extras: extensions of the sample's further members.
        facts: further facts.
        shard: file in the folder ``shards``.
        offset: of the picture's bytes in the shard.
        length: of the picture in bytes.
    """

    key: str
    origin: Origin
    quality: Quality
    split: str
    zoom: float
    size: int
    matrix: NDArray[np.float64]
    mesh16: NDArray[np.int16]
    confidence: float
    labels_from: LabelSource
    fingerprint: int
    extras: tuple[str, ...]
    facts: dict[str, Any]
    shard: str
    offset: int
    length: int

    @property
    def mesh(self) -> NDArray[np.float32]:
        """(478, 3) float32 in crop pixels, to a sixteenth of a pixel."""
        return self.mesh16.astype(np.float32) / np.float32(MESH_STEPS)


def index_row(
    labels: Mapping[str, Any],
    *,
    mesh: NDArray[np.float32],
    thumbnail: bytes,
    split: str,
    extras: Sequence[str],
    shard: str,
    offset: int,
    length: int,
) -> dict[str, Any]:
    """A row of the index from a sample's labels and its place.

    Args:
        labels: as :func:`~visagist.corpus.shards.labels_of` gives them.
        mesh: (478, 3) in crop pixels.
        thumbnail: 256 bytes.
        split: train, validation or test.
        extras: extensions of the further members.
        shard: file in the folder ``shards``.
        offset: of the picture's bytes in it.
        length: of the picture in bytes.
    """
    origin = dict(labels["origin"])
    origin["given_split"] = origin.pop("split")
    # a mesh may leave the crop, but not by more than int16 holds
    steps = np.clip(np.rint(mesh * MESH_STEPS), -32768, 32767).astype(np.int16)
    return {
        "key": labels["key"],
        **origin,
        **labels["quality"],
        "split": split,
        "zoom": labels["zoom"],
        "size": labels["size"],
        "matrix": labels["matrix"],
        "mesh16": steps.ravel(),
        "confidence": labels["confidence"],
        "labels_from": labels["labels_from"],
        "fingerprint": int(labels["fingerprint"], 16),
        "thumbnail": thumbnail,
        "extras": list(extras),
        "facts": json.dumps(labels["facts"], sort_keys=True),
        "shard": shard,
        "offset": offset,
        "length": length,
    }


def write_index(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows named by ``SCHEMA``; memory stays at one row group.

    Returns:
        the number of rows.
    """
    count, source = 0, iter(rows)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while group := list(islice(source, _ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA))
            count += len(group)
    return count


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The index, or some of its columns.

    Raises:
        DataError: not there or not an index.
    """
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(
            f"{path}: cannot read the index ({error}); build the corpus again"
        ) from error


def read_records(path: Path) -> Iterator[Record]:
    """Every row of an index, in order.

    Raises:
        DataError: not there or not an index.
    """
    table = read_table(path, [name for name in SCHEMA.names if name != "thumbnail"])
    for batch in table.to_batches(max_chunksize=_ROWS):
        columns = {n: batch.column(n).to_pylist() for n in batch.schema.names if n != "mesh16"}
        meshes = _meshes(batch.column("mesh16"), path)
        for i in range(batch.num_rows):
            yield _record({name: values[i] for name, values in columns.items()}, meshes[i])


def _meshes(column: pa.ListArray, path: Path) -> NDArray[np.int16]:
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if flat.size != len(column) * N_POINTS * 3:
        raise DataError(f"{path}: a mesh has the wrong number of points; build the corpus again")
    meshes: NDArray[np.int16] = flat.astype(np.int16, copy=False).reshape(-1, N_POINTS, 3)
    return meshes


def _record(row: dict[str, Any], mesh16: NDArray[np.int16]) -> Record:
    origin = {f.name: row[f.name] for f in fields(Origin) if f.name != "split"}
    origin |= {"split": row["given_split"]}
    origin |= {name: tuple(origin[name]) for name in ("uses", "parents")}
    return Record(
        key=row["key"],
        origin=Origin(**origin),
        quality=Quality(**{f.name: row[f.name] for f in fields(Quality)}),
        split=row["split"],
        zoom=row["zoom"],
        size=row["size"],
        matrix=np.array(row["matrix"]).reshape(2, 3),
        mesh16=mesh16,
        confidence=row["confidence"],
        labels_from=row["labels_from"],
        fingerprint=row["fingerprint"],
        extras=tuple(row["extras"]),
        facts=json.loads(row["facts"]),
        shard=row["shard"],
        offset=row["offset"],
        length=row["length"],
    )
