"""Samples as members of WebDataset tar files: the same bytes for the same sample, always.

Members of a sample, next to each other: ``KEY.jpg`` (or ``.png``), ``KEY.json`` (labels),
``KEY.mesh.npy`` (478, 3) float32, and ``KEY.<extension>`` for each extra.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.sample import Origin, Quality, Sample
from visagist.errors import DataError, PhotoError
from visagist.face.topology import N_POINTS
from visagist.photo import Limits, Photo

PictureFormat = Literal["jpg", "png"]
LABELS, MESH = "json", "mesh.npy"
BLOCK = tarfile.BLOCKSIZE
_FORMATS = {"jpg": "JPEG", "png": "PNG"}
_LIMITS = Limits(max_bytes=64 * 2**20, max_pixels=4096 * 4096, max_side=4096)
Members = list[tuple[str, bytes]]


def encode_sample(sample: Sample, *, picture: PictureFormat = "jpg", quality: int = 95) -> Members:
    """(file name, content) of each member of a sample, the picture first.

    Args:
        sample: what to encode.
        picture: ``jpg`` (4:4:4) or ``png``.
        quality: of JPEG, 1..100.
    """
    data = Photo.from_array(sample.image).to_bytes(_FORMATS[picture], quality=quality)
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(sample.mesh, np.float32))
    members = [
        (picture, data),
        (LABELS, encode_json(labels_of(sample))),
        (MESH, stream.getvalue()),
        *sorted(sample.extras.items()),
    ]
    return [(f"{sample.key}.{extension}", content) for extension, content in members]


def labels_of(sample: Sample) -> dict[str, Any]:
    """The labels as JSON: everything but the pictures and the mesh."""
    return {
        "key": sample.key,
        "origin": asdict(sample.origin),
        "quality": asdict(sample.quality),
        "zoom": sample.zoom,
        "size": int(sample.image.shape[0]),
        "matrix": [float(v) for v in sample.matrix.ravel()],
        "confidence": sample.confidence,
        "labels_from": sample.labels_from,
        "fingerprint": f"{sample.fingerprint:016x}",
        "facts": dict(sample.facts),
    }


def encode_json(document: Mapping[str, Any]) -> bytes:
    """JSON with a fixed order and layout."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.encode() + b"\n"


def decode_sample(members: Mapping[str, bytes]) -> Sample:
    """A sample from its members by extension.

    Raises:
        DataError: a member is missing or damaged.
    """
    try:
        labels = json.loads(members[LABELS])
        mesh = decode_array(members[MESH])
        if mesh.shape != (N_POINTS, 3):
            raise ValueError(f"the mesh is {mesh.shape}")
        origin = _known(Origin, labels["origin"])
        return Sample(
            key=str(labels["key"]),
            image=decode_picture(picture_of(members)),
            mesh=mesh.astype(np.float32),
            origin=origin,
            quality=_known(Quality, labels["quality"]),
            zoom=float(labels["zoom"]),
            matrix=np.array(labels["matrix"], np.float64).reshape(2, 3),
            confidence=float(labels["confidence"]),
            labels_from=labels["labels_from"],
            fingerprint=int(labels["fingerprint"], 16),
            extras=further_members(members),
            facts=labels["facts"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"a sample of the corpus is damaged ({error})") from error


def decode_zoom(members: Mapping[str, bytes]) -> float:
    """Field of view of a sample in canonical crops.

    Raises:
        DataError: the labels are missing or damaged.
    """
    try:
        return float(json.loads(members[LABELS])["zoom"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"a sample of the corpus is damaged ({error})") from error


def decode_array(data: bytes) -> NDArray[Any]:
    """An array from the bytes of an ``.npy`` file; pickles are refused.

    Raises:
        ValueError: not such a file.
    """
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("not a single array")
    return array


def _known(kind: type[Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401  (a dataclass)
    """A dataclass from JSON; lists become tuples."""
    names = [f.name for f in fields(kind)]
    return kind(**{n: tuple(v) if isinstance(v := values[n], list) else v for n in names})


class TarWriter:
    """Writes members whose headers hold nothing but name and length.

    Owner, time and mode are fixed, so that equal members give equal files.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.open(  # noqa: SIM115  (closed by close)
            fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT
        )

    @property
    def offset(self) -> int:
        """Where the next member's header will begin."""
        return self._tar.offset

    def add(self, members: Sequence[tuple[str, bytes]]) -> None:
        """Write a sample."""
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(data), 0o644
            self._tar.addfile(header, io.BytesIO(data))

    def close(self) -> None:
        """Write the end of the archive; the stream stays open."""
        self._tar.close()


def iterate_samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members by extension) of every sample of a shard, in file order.

    Raises:
        DataError: the shard cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield from _samples(stream)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot read the shard ({error})") from error


def read_members(path: Path, offset: int) -> dict[str, bytes]:
    """Members by extension of the sample whose picture begins at ``offset`` of a shard.

    Raises:
        DataError: the shard cannot be read, or no sample begins there.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset - BLOCK)
            for _, members in _samples(stream):
                return members
    except (OSError, ValueError, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot read the shard ({error})") from error
    raise DataError(f"{path}: no sample at byte {offset}; build the corpus again")


def read_bytes_at(path: Path, offset: int, length: int) -> bytes:
    """A part of a shard, such as one encoded picture.

    Raises:
        DataError: the shard cannot be read or is too short.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the shard ({error})") from error
    if len(data) != length:
        raise DataError(f"{path}: the shard is shorter than its index says; build it again")
    return data


def split_members(data: bytes) -> dict[str, bytes]:
    """Members by extension of a sample that was cut out of a tar file, headers and all.

    Raises:
        DataError: not such bytes.
    """
    try:
        for _, members in _samples(io.BytesIO(data)):
            return members
    except tarfile.TarError as error:
        raise DataError(f"a chunk of the build is damaged ({error})") from error
    raise DataError("a chunk of the build is damaged (an empty sample)")


def picture_of(members: Mapping[str, bytes]) -> bytes:
    """The encoded picture among the members of a sample.

    Raises:
        DataError: there is none.
    """
    for extension in _FORMATS:
        if extension in members:
            return members[extension]
    raise DataError("a sample of the corpus has no picture")


def further_members(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is neither picture nor labels nor mesh."""
    return {n: data for n, data in members.items() if n not in (*_FORMATS, LABELS, MESH)}


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """(S, S, 3) uint8 RGB of an encoded picture.

    Raises:
        DataError: damaged.
    """
    try:
        return Photo.open(data, _LIMITS).pixels
    except PhotoError as error:
        raise DataError(f"a picture of the corpus is damaged ({error})") from error


def _samples(stream: IO[bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Groups neighbouring members by what stands before the first dot of their names."""
    current, members = "", dict[str, bytes]()
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for header in tar:
            key, _, extension = header.name.partition(".")
            if not header.isreg():
                continue
            if key != current and members:
                yield current, members
                members = {}
            current = key
            content = tar.extractfile(header)
            members[extension] = content.read() if content is not None else b""
    if members:
        yield current, members
