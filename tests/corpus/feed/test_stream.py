from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

from tests.corpus.small_corpus import drawn_corpus
from visagist.corpus.corpus import SHARDS, Corpus
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.corpus.feed.stream import ShardStream
from visagist.errors import DataError, InputError

CONFIG = FeedConfig(use="mesh", size=48, zoom=2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    counts = {"train": 22, "validation": 1, "test": 1}
    return drawn_corpus(tmp_path_factory.mktemp("stream") / "corpus", **counts, size=64)


def stream(folder, **options: int) -> ShardStream:
    corpus = Corpus.open(folder)
    return ShardStream(corpus, select_faces(corpus, CONFIG, ("train",)), CONFIG, **options)


def order(folder, count: int, start: int = 0, **options: int) -> list[int]:
    return list(islice(stream(folder, **options).order(start), count))


@pytest.mark.parametrize("buffer", [1, 5, 100])
def test_a_pass_shows_every_sample_once(folder, buffer):
    seen = order(folder, 66, buffer=buffer)
    for part in (seen[:22], seen[22:44], seen[44:]):
        assert sorted(part) == list(range(22))
    assert seen[:22] != seen[22:44]
    assert order(folder, 66, buffer=buffer) == seen
    assert order(folder, 66, buffer=buffer, seed=1) != seen


def test_the_buffer_mixes_neighbours(folder):
    reader = stream(folder)
    shards = [reader.records[n].shard for n in order(folder, 22, buffer=1)]
    assert len(set(pairwise(shards))) < 12  # shard after shard
    mixed = [reader.records[n].shard for n in order(folder, 22, buffer=16)]
    changes = sum(a != b for a, b in pairwise(mixed))
    assert changes > sum(a != b for a, b in pairwise(shards)) + 3


@pytest.mark.parametrize("start", [0, 1, 7, 21, 22, 50])
def test_it_goes_on_where_it_was(folder, start):
    whole = order(folder, 80, buffer=6)
    assert order(folder, 80 - start, start, buffer=6) == whole[start:]
    reader = stream(folder, buffer=6)
    faces = list(islice(reader.faces(start), 9))
    assert [face.number for face in faces] == whole[start : start + 9]


@pytest.mark.parametrize("world", [2, 3, 9])
def test_readers_share_a_pass(folder, world):
    """By whole shards (there are six), or sample by sample where there are more readers."""
    parts = []
    for rank in range(world):
        reader = stream(folder, rank=rank, world=world, buffer=3)
        length = len(reader._sequence(np.random.default_rng((0, 0))))
        parts.append(list(islice(reader.order(), length)))
        if world <= 6:
            first = {reader.records[n].shard for n in parts[-1]}
            assert all(first.isdisjoint({reader.records[n].shard for n in p}) for p in parts[:-1])
    assert sorted(n for part in parts for n in part) == list(range(22))


def test_faces_are_the_same_whatever_the_workers(folder):
    reader = stream(folder, buffer=5)
    one, three = (list(islice(reader.faces(3, workers=w), 30)) for w in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert a.number == b.number
        assert np.array_equal(a.crop, b.crop)
    face, record = one[0], reader.records[one[0].number]
    assert face.crop.shape == (48, 48, 3)
    assert np.allclose(face.mesh, record.mesh * 48 / 64, atol=1e-4)


def test_what_makes_no_stream(folder, tmp_path):
    with pytest.raises(InputError, match="reader 2 of 2"):
        stream(folder, rank=2, world=2)
    with pytest.raises(InputError, match="buffer of 0"):
        stream(folder, buffer=0)
    with pytest.raises(DataError, match="22 faces are too few"):
        stream(folder, world=40)


def test_a_shard_that_is_gone_is_an_error(tmp_path):
    folder = drawn_corpus(tmp_path / "corpus", train=3, validation=0, test=0, size=64)
    reader = stream(folder, buffer=2)
    next((folder / SHARDS).iterdir()).unlink()
    with pytest.raises(DataError, match="shard"):
        list(islice(reader.faces(), 3))
