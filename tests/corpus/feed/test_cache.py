from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.corpus.small_corpus import drawn_corpus, drawn_sample, write_corpus
from visagist.corpus.corpus import SHARDS, Corpus
from visagist.corpus.feed.cache import NO_PARTS, FaceCache, cached_faces, load_faces
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.errors import DataError

CONFIG = FeedConfig(use="mesh", size=64, zoom=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn_corpus(tmp_path_factory.mktemp("cache") / "corpus", train=5, validation=2)


@pytest.fixture(scope="module")
def corpus(folder) -> Corpus:
    return Corpus.open(folder)


def test_what_is_cached_is_what_the_corpus_holds(corpus, tmp_path):
    seen = []
    faces = cached_faces(corpus, CONFIG, tmp_path, progress=lambda *n: seen.append(n))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert (len(faces), faces.crops.shape, faces.zoom) == (7, (7, 64, 64, 3), 1.5)
    assert faces.splits == ("train",) * 5 + ("validation",) * 2
    records = {record.key: record for record in corpus.records}
    loaded = load_faces(corpus, [records[key] for key in faces.keys], CONFIG)
    assert np.array_equal(faces.crops, loaded.crops)
    for key, mesh in zip(faces.keys, faces.meshes, strict=True):
        # 128 pixels at zoom 2 become 64 at 1.5: 16 are cut off each side, then 2/3
        assert np.allclose(mesh[:, :2], (records[key].mesh[:, :2] - 16) * 2 / 3, atol=0.05)
    assert faces.subset("validation").keys == faces.keys[5:]
    assert np.shares_memory(faces.subset("train").crops, faces.crops)
    with pytest.raises(DataError, match="'test'"):
        faces.subset("test")


def test_it_is_written_once_and_mapped_after(corpus, tmp_path):
    first = cached_faces(corpus, CONFIG, tmp_path)
    (made,) = tmp_path.iterdir()
    before = (made / "crops.npy").stat().st_mtime_ns
    again = cached_faces(corpus, CONFIG, tmp_path, workers=3)
    assert (made / "crops.npy").stat().st_mtime_ns == before
    assert isinstance(again.crops, np.memmap)
    assert again.keys == first.keys
    again.crops[0] = 0  # a reader's own copy
    assert np.array_equal(cached_faces(corpus, CONFIG, tmp_path).crops, first.crops)


def test_the_same_bytes_whatever_the_workers(corpus, tmp_path):
    for workers in (1, 4):
        cached_faces(corpus, CONFIG, tmp_path / str(workers), workers=workers)
    one, four = (next((tmp_path / name).iterdir()) for name in "14")
    assert one.name == four.name
    for path in one.iterdir():
        assert path.read_bytes() == (four / path.name).read_bytes()


def test_another_corpus_or_recipe_gets_another_cache(corpus, tmp_path):
    cached_faces(corpus, CONFIG, tmp_path / "cache")
    cached_faces(corpus, CONFIG.model_copy(update={"size": 48}), tmp_path / "cache")
    cached_faces(corpus, CONFIG, tmp_path / "cache", splits=("train",))
    rebuilt = Corpus.open(drawn_corpus(tmp_path / "corpus", train=4, validation=2))
    faces = cached_faces(rebuilt, CONFIG, tmp_path / "cache")
    assert len(faces) == 6
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_cache_that_was_cut_short_is_refused(corpus, tmp_path):
    cached_faces(corpus, CONFIG, tmp_path)
    (made,) = tmp_path.iterdir()
    whole = (made / "crops.npy").read_bytes()
    for damaged in (whole[:-1000], whole[:20], b""):
        (made / "crops.npy").write_bytes(damaged)
        with pytest.raises(DataError, match=r"damaged.*delete the folder"):
            cached_faces(corpus, CONFIG, tmp_path)
    (made / "crops.npy").write_bytes(whole)
    np.save(made / "meshes.npy", np.zeros((3, 478, 3), np.float32))
    with pytest.raises(DataError, match="meshes has another shape"):
        FaceCache.open(made)
    (made / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        FaceCache.open(made)


def test_a_damaged_shard_leaves_no_cache_behind(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "corpus")
    shard = next((tmp_path / "corpus" / SHARDS).glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(DataError):
        cached_faces(Corpus.open(tmp_path / "corpus"), CONFIG, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_label_maps(tmp_path):
    faces = [(drawn_sample(0, parts=True), "train"), (drawn_sample(1), "train")]
    corpus = Corpus.open(write_corpus(tmp_path / "corpus", faces))
    cached = cached_faces(corpus, CONFIG, tmp_path / "cache", splits=("train",), parts=True)
    assert cached.parts is not None
    with_map = [bool((p != NO_PARTS).all()) for p in cached.parts]
    assert sorted(with_map) == [False, True]
    labels = cached.parts[with_map.index(True)]
    assert {0, 1, 2} <= set(np.unique(labels))
    x, y = cached.meshes[with_map.index(True)][1, :2].astype(int)  # the tip of the nose
    assert labels[y, x] == 1
    assert (cached.parts[with_map.index(False)] == NO_PARTS).all()
    records = select_faces(corpus, CONFIG, ("train",))
    assert np.array_equal(load_faces(corpus, records, CONFIG, parts=True).parts, cached.parts)
