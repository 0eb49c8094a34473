import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist.amplify.pairset import (
    FORMAT,
    SIDE,
    SUMMARY,
    ZOOM,
    PairSample,
    encode_bare,
    iterate_pairs,
    read_pairset,
    read_summary,
    shard_path,
    write_shard,
)
from visagist.errors import DataError


def samples(n: int, first: int = 0) -> list[tuple[PairSample, bytes]]:
    made = []
    for k in range(first, first + n):
        rng = np.random.default_rng(k)
        smooth = np.repeat(np.repeat(rng.integers(0, 256, (9, 9, 3)), 32, 0), 32, 1)
        jpeg, bare = encode_bare(smooth.astype(np.uint8))
        styled = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
        made.append((PairSample(f"{k:016x}-0", bare, styled, {"key": f"{k:016x}-0"}), jpeg))
    return made


def write_set(folder, *counts):
    folder.mkdir(parents=True, exist_ok=True)
    everything, names = [], []
    for number, count in enumerate(counts):
        part = samples(count, len(everything))
        write_shard(shard_path(folder, number), part)
        everything += [sample for sample, _ in part]
        names.append(shard_path(folder, number).name)
    summary = {
        "format": FORMAT, "side": SIDE, "zoom": ZOOM, "samples": len(everything), "shards": names,
    }  # fmt: skip
    (folder / SUMMARY).write_text(json.dumps(summary))
    return everything


@settings(max_examples=20)
@given(bare=st.integers(0, 255), made=st.integers(0, 255))
def test_the_change_wraps_around(bare, made):
    a, b = np.uint8([bare]), np.uint8([made])
    assert (a + (b - a)).item() == made


def test_what_was_written_is_read_bit_for_bit(tmp_path):
    written = write_set(tmp_path, 2, 1)
    for was, now in zip(written, iterate_pairs(tmp_path), strict=True):
        assert now.key == was.key
        assert np.array_equal(now.bare, was.bare)
        assert np.array_equal(now.made, was.made)
        assert now.labels == was.labels


def test_equal_samples_give_equal_bytes(tmp_path):
    write_set(tmp_path / "a", 2)
    write_set(tmp_path / "b", 2)
    one, other = (shard_path(tmp_path / name, 0).read_bytes() for name in "ab")
    assert one == other


def test_a_set_is_unpacked_once_as_training_takes_it(tmp_path):
    written = write_set(tmp_path / "set", 2, 2)
    cache = tmp_path / "run" / "targets.npy"
    targets, keys = read_pairset(tmp_path / "set", cache)
    assert targets.shape == (4, 2, SIDE, SIDE, 3)
    assert keys == tuple(sample.key for sample in written)
    assert np.array_equal(targets[3, 0], written[3].bare)
    assert np.array_equal(targets[3, 1], written[3].made)
    before = cache.stat().st_mtime_ns
    assert read_pairset(tmp_path / "set", cache)[1] == keys
    assert cache.stat().st_mtime_ns == before
    written = write_set(tmp_path / "set", 3)
    assert read_pairset(tmp_path / "set", cache)[0].shape[0] == 3


def test_unfinished_damaged_and_empty_sets_are_refused(tmp_path):
    with pytest.raises(DataError, match="no finished set"):
        read_summary(tmp_path)
    write_set(tmp_path, 2)
    data = shard_path(tmp_path, 0).read_bytes()
    shard_path(tmp_path, 0).write_bytes(data.replace(b"\xff\xd8", b"\x00\x00"))
    with pytest.raises(DataError, match="damaged"):
        list(iterate_pairs(tmp_path))
    with pytest.raises(DataError):
        read_pairset(tmp_path)
    assert not list(tmp_path.glob("targets*"))
    summary = json.loads((tmp_path / SUMMARY).read_text())
    (tmp_path / SUMMARY).write_text(json.dumps(summary | {"samples": 0, "shards": []}))
    with pytest.raises(DataError, match="no pair"):
        read_pairset(tmp_path)
    (tmp_path / SUMMARY).write_text(json.dumps(summary | {"format": 99}))
    with pytest.raises(DataError, match="layout"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_summary(tmp_path)


def test_a_set_with_fewer_samples_than_it_counts_is_refused(tmp_path):
    write_set(tmp_path, 1)
    summary = json.loads((tmp_path / SUMMARY).read_text())
    (tmp_path / SUMMARY).write_text(json.dumps(summary | {"samples": 2}))
    with pytest.raises(DataError, match="1 samples"):
        read_pairset(tmp_path)
