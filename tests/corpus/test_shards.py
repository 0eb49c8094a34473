from __future__ import annotations

import gc
import io
import json
import tarfile

import numpy as np
import pytest
import webdataset

from tests.corpus.build.people import PeopleTask, Shot
from visagist.corpus.build import BuildConfig, build
from visagist.corpus.corpus import Corpus
from visagist.corpus.shards import (
    TarWriter,
    decode_sample,
    encode_sample,
    iterate_samples,
    split_members,
)
from visagist.errors import DataError, InputError

SHOTS = [Shot(f"grüße {n}.jpg", n, identity=f"пример {n}", split="train") for n in range(5)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return build(PeopleTask(SHOTS), folder, BuildConfig(shard_size=3)).corpus


def sample():
    task = PeopleTask(SHOTS[:1])
    return task.prepare(next(iter(task.items())))[0]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the package's own
def test_other_peoples_loader_reads_the_shards(corpus):
    """The webdataset package, told what each member is, so that it unpickles nothing."""
    paths = sorted(str(p) for p in (corpus.path / "shards").glob("train-*.tar"))
    decoders = [
        webdataset.handle_extension("jpg", lambda data: data),
        webdataset.handle_extension("json", json.loads),
        webdataset.handle_extension("mesh.npy", lambda data: np.load(io.BytesIO(data))),
    ]
    dataset = webdataset.WebDataset(paths, shardshuffle=False).decode(*decoders, only=None)
    read = list(dataset)
    del dataset
    gc.collect()  # what it has left open is closed, and warned of, here
    assert len(paths) == 2
    assert [r["__key__"] for r in read] == [r.key for r in corpus.records]
    for found, record in zip(read, corpus.records, strict=True):
        assert found["json"]["origin"]["identity"] == record.origin.identity
        assert found["mesh.npy"].shape == (478, 3)
        assert found["jpg"] == corpus.picture(record)
        assert found["depth.png"] == b"not looked at"


def test_plain_tar_reads_the_shards(corpus):
    with tarfile.open(corpus.path / "shards" / "train-00000.tar") as tar:
        names = tar.getnames()
        assert len(names) == 12
        assert [n.partition(".")[2] for n in names[:4]] == ["jpg", "json", "mesh.npy", "depth.png"]
        for member in tar:
            assert (member.mtime, member.uid, member.uname, member.mode) == (0, 0, "", 0o644)


def test_a_sample_survives_its_members():
    made = sample()
    members = encode_sample(made, picture="png")
    read = decode_sample({name.partition(".")[2]: data for name, data in members})
    assert np.array_equal(read.image, made.image)
    assert np.array_equal(read.mesh, made.mesh)
    for name in ("key", "origin", "quality", "zoom", "confidence", "labels_from", "fingerprint"):
        assert getattr(read, name) == getattr(made, name)
    assert read.facts == made.facts
    assert read.extras == made.extras
    assert encode_sample(made)[0][0] == f"{made.key}.jpg"


def test_equal_samples_are_equal_bytes():
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        writer = TarWriter(stream)
        writer.add(encode_sample(sample()))
        writer.close()
    assert streams[0].getvalue() == streams[1].getvalue()


@pytest.mark.parametrize("lost", ["json", "jpg", "mesh.npy"])
def test_a_sample_without_a_member_is_damaged(lost):
    members = {n.partition(".")[2]: data for n, data in encode_sample(sample())}
    del members[lost]
    with pytest.raises(DataError, match=r"damaged|no picture"):
        decode_sample(members)


@pytest.mark.parametrize(
    ("name", "data"),
    [("json", b"{"), ("json", b"[]"), ("jpg", b"no picture"), ("mesh.npy", b"no array")],
)
def test_a_sample_with_a_bad_member_is_damaged(name, data):
    members = {n.partition(".")[2]: data for n, data in encode_sample(sample())}
    with pytest.raises(DataError, match="damaged"):
        decode_sample(members | {name: data})


def test_pickles_are_refused():
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    members = {n.partition(".")[2]: data for n, data in encode_sample(sample())}
    with pytest.raises(DataError, match="damaged"):
        decode_sample(members | {"mesh.npy": stream.getvalue()})


def test_shards_are_read_in_order(corpus):
    path = corpus.path / "shards" / "train-00000.tar"
    assert [key for key, _ in iterate_samples(path)] == [r.key for r in corpus.records[:3]]


def test_unreadable_shards_are_named(corpus, tmp_path):
    copy = tmp_path / "copy"
    (copy / "shards").mkdir(parents=True)
    for name in ("corpus.json", "index.parquet"):
        (copy / name).write_bytes((corpus.path / name).read_bytes())
    read = Corpus.open(copy)
    with pytest.raises(DataError, match=r"train-00000.tar: cannot read the shard"):
        read.load(read.records[0])
    short = (corpus.path / "shards" / "train-00000.tar").read_bytes()[:3000]
    (copy / "shards" / "train-00000.tar").write_bytes(short)
    with pytest.raises(DataError, match=r"train-00000.tar"):
        read.load(read.records[0])
    with pytest.raises(DataError, match="shorter than its index"):
        read.picture(read.records[0])
    (copy / "shards" / "train-00000.tar").write_bytes(b"rubbish" * 1000)
    with pytest.raises(DataError, match=r"train-00000.tar"):
        list(iterate_samples(copy / "shards" / "train-00000.tar"))


def test_a_broken_index_is_named(corpus, tmp_path):
    (tmp_path / "corpus.json").write_bytes((corpus.path / "corpus.json").read_bytes())
    (tmp_path / "index.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read the index"):
        _ = Corpus.open(tmp_path).records


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', "{}"])
def test_a_summary_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(DataError, match=r"cannot be read|not known"):
        Corpus.open(tmp_path)


def test_selections(corpus):
    assert len(corpus.select(splits=("train", "test"), kinds=("photo",), use="makeup")) == 5
    assert corpus.select(kinds=("head",)) == corpus.select(splits=("test",)) == ()
    with pytest.raises(InputError, match="dev"):
        corpus.select(splits=("dev",))
    with pytest.raises(InputError, match="'fun'"):
        corpus.select(use="fun")


def test_some_columns_of_the_index(corpus):
    table = corpus.table(["key", "luminance"])
    assert table.column_names == ["key", "luminance"]
    assert table.num_rows == 5


def test_bytes_that_are_no_sample_are_damaged():
    with pytest.raises(DataError, match="damaged"):
        split_members(b"")
    with pytest.raises(DataError, match="damaged"):
        split_members(b"x" * 2048)
