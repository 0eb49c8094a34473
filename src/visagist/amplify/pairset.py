"""Amplified pairs on disk: WebDataset shards that are whole or not there.

::

    OUT/part-00000.tar   at most 256 samples: KEY.bare.jpg  the face, 288 x 288, zoom 1.125
                                              KEY.change.png made up minus bare, modulo 256
                                              KEY.json      face, person, strength, scores
    OUT/rejected.jsonl   a line for each sample that a gate left out, without its picture
    OUT/set.json         the style, the layout and the counts; written last, so that a folder
                         without it is not finished

The change wraps around, so ``bare + change`` modulo 256 is the made-up picture bit for bit, from
the bare picture *as it is decoded*: targets carry no trace of a second compression.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.corpus.feed.recrop import decode_crop
from visagist.corpus.shards import TarWriter, encode_json, iterate_samples
from visagist.errors import DataError
from visagist.photo import Photo
from visagist.photo.files import mapped_array, write_atomically

Bytes = NDArray[np.uint8]

FORMAT = 1
SIDE, ZOOM = 288, 1.125
"""Side of the pictures in pixels and their field of view in canonical crops."""
SHARD = 256
"""Most samples of a shard."""
QUALITY = 96
SUMMARY, REJECTED = "set.json", "rejected.jsonl"
BARE, CHANGE, LABELS = "bare.jpg", "change.png", "json"


@dataclass(frozen=True, slots=True)
class PairSample:
    """One amplified pair.

    Attributes:
        key: unique in its set; letters, digits and hyphens.
        bare: (288, 288, 3) uint8, as :func:`encode_bare` gives it back.
        made: the same, made up.
        labels: what goes into the JSON.
    """

    key: str
    bare: Bytes
    made: Bytes
    labels: Mapping[str, Any]


def encode_bare(crop: Bytes) -> tuple[bytes, Bytes]:
    """A bare crop as JPEG (4:4:4), and the pixels that come out of it again."""
    data = Photo.from_array(crop).to_bytes("JPEG", quality=QUALITY)
    return data, decode_crop(data)


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"part-{number:05d}.tar"


def write_shard(path: Path, samples: Sequence[tuple[PairSample, bytes]]) -> None:
    """Write samples with their encoded bare pictures, all or nothing.

    Raises:
        PhotoWriteError: the file cannot be written; it does not exist then.
    """
    stream = io.BytesIO()
    tar = TarWriter(stream)
    for sample, jpeg in samples:
        change = sample.made - sample.bare  # uint8 wraps around, which is meant
        members = [(BARE, jpeg), (CHANGE, _png(change)), (LABELS, encode_json(sample.labels))]
        tar.add([(f"{sample.key}.{extension}", data) for extension, data in members])
    tar.close()
    write_atomically(path, stream.getvalue(), overwrite=True)


def _png(pixels: Bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def iterate_pairs(folder: Path) -> Iterator[PairSample]:
    """Every sample of a finished set, in order.

    Raises:
        DataError: the set is not finished, or a sample is damaged.
    """
    summary = read_summary(folder)
    for name in summary["shards"]:
        for key, members in iterate_samples(folder / name):
            yield _decoded(folder / name, key, members)


def _decoded(path: Path, key: str, members: Mapping[str, bytes]) -> PairSample:
    try:
        bare, change = decode_crop(members[BARE]), decode_crop(members[CHANGE])
        labels = json.loads(members[LABELS])
        if bare.shape != (SIDE, SIDE, 3) or change.shape != bare.shape:
            raise ValueError(f"its pictures are {bare.shape} and {change.shape}")
    except (KeyError, ValueError, DataError) as error:
        raise DataError(f"{path}: the sample {key} is damaged ({error})") from error
    return PairSample(key, bare, bare + change, labels)


def read_summary(folder: Path) -> dict[str, Any]:
    """``set.json`` of a finished set.

    Raises:
        DataError: there is none, it is damaged, or of another layout.
    """
    path = folder / SUMMARY
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        layout = (summary["format"], summary["side"], summary["zoom"])
        count, shards = int(summary["samples"]), list(summary["shards"])
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: no finished set of pairs here; `visagist amplify ... -o {folder}` makes "
            "one, or goes on with one"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if layout != (FORMAT, SIDE, ZOOM):
        raise DataError(f"{path}: the layout {layout} is not known; amplify again")
    if count and not shards:
        raise DataError(f"{path}: it counts {count} samples and names no shard")
    return summary


def read_pairset(folder: Path, cache: Path | None = None) -> tuple[Bytes, tuple[str, ...]]:
    """A set as training takes it, in the layout of :func:`visagist.makeup.data.render_targets`.

    Args:
        folder: of a finished set.
        cache: the ``.npy`` to unpack into, 0.5 MB a sample; made once and then mapped, by default
            ``targets.npy`` in the folder of the set.

    Returns:
        (N, 2, 288, 288, 3) uint8, mapped read-only: index 0 is bare and 1 made up; and the key of
        each sample.

    Raises:
        DataError: the set is not finished, damaged or empty, or the cache cannot be written.
    """
    summary = read_summary(folder)
    path = folder / "targets.npy" if cache is None else cache
    note = path.with_suffix(".json")
    digest = hashlib.sha256(encode_json(summary)).hexdigest()
    shape = (int(summary["samples"]), 2, SIDE, SIDE, 3)
    if shape[0] == 0:
        raise DataError(f"{folder}: the set holds no pair; see {REJECTED} for the reasons")
    keys = _cached(path, note, digest, shape)
    if keys is None:
        keys = _unpack(folder, path, note, digest, shape)
    targets: Bytes = np.load(path, mmap_mode="r", allow_pickle=False)
    return targets, keys


def _cached(path: Path, note: Path, digest: str, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    try:
        stored = json.loads(note.read_text(encoding="utf-8"))
        if stored["set"] != digest or np.load(path, mmap_mode="r").shape != shape:
            return None
        return tuple(stored["keys"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not unpacked yet, or broken off


def _unpack(
    folder: Path, path: Path, note: Path, digest: str, shape: tuple[int, ...]
) -> tuple[str, ...]:
    keys: list[str] = []
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
        targets = mapped_array(part, np.uint8, shape)
        for sample in iterate_pairs(folder):
            if len(keys) == len(targets):
                break
            targets[len(keys)] = sample.bare, sample.made
            keys.append(sample.key)
        targets.flush()
        del targets
        if len(keys) != shape[0]:
            raise DataError(f"{folder}: {len(keys)} samples, {SUMMARY} counts {shape[0]}")
        part.replace(path)
        write_atomically(note, encode_json({"set": digest, "keys": keys}), overwrite=True)
    except OSError as error:
        raise DataError(f"{path}: the pairs cannot be unpacked ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    return tuple(keys)
