from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.sources.trees import MESH, TREES, npy, picture, write_tar
from visagist.corpus.sources import SourceConfig, open_source
from visagist.corpus.task import SkippedItemError
from visagist.photo import Photo


def items_of(path):
    return list(open_source(path).items())


def good(path):
    return [item for item in items_of(path) if item.problem is None]


def complaints(path):
    return [(i.name, i.problem[1]) for i in items_of(path) if i.problem]


def test_metadata_facts_and_the_mesh(tmp_path):
    first, second, third = good(TREES["webdataset"](tmp_path).path)
    assert third.name == "set-00000.tar/sub/0002.png"
    assert first.origin.generator == "acme"
    assert second.origin.licence == "CC0-1.0"
    assert second.origin.uses == ("mesh",)
    assert np.array_equal(second.labels().mesh, MESH)
    assert third.facts == {"class": 7, "caption": "a drawn face"}
    assert third.labels() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves it open
def test_what_the_usual_loader_reads_is_what_is_listed(tmp_path):
    tree = TREES["webdataset"](tmp_path)
    shard = tree.path / "set-00000.tar"
    theirs = {
        sample["__key__"]: sample.get("jpg") or sample.get("png")
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False)
    }
    ours = {i.name.partition("/")[2].rpartition(".")[0]: i.read() for i in good(shard)}
    assert ours == theirs


def test_a_recipe_cannot_widen_what_a_sample_allows(tmp_path):
    TREES["webdataset"](tmp_path)
    config = SourceConfig(path=str(tmp_path), uses=("mesh", "makeup"))
    uses = {item.name: item.origin.uses for item in open_source(config).items()}
    assert uses["set-00000.tar/0001.jpg"] == ("mesh",)
    assert uses["set-00000.tar/sub/0002.png"] == ("mesh", "makeup")
    config = SourceConfig(path=str(tmp_path), uses=("makeup",))
    uses = {item.name: item.origin.uses for item in open_source(config).items()}
    assert uses["set-00000.tar/0001.jpg"] == ()


def test_keys_differ_by_case(tmp_path):
    about = b'{"identity": "ann"}'
    write_tar(tmp_path / "s.tar", [("A.json", about), ("a.jpg", picture(1)), ("B.JPG", picture(2))])
    assert {i.name: i.origin.identity for i in good(tmp_path)} == {
        "s.tar/a.jpg": "",
        "s.tar/B.JPG": "",
    }


def test_one_shard_or_a_folder_of_shards(tmp_path):
    write_tar(tmp_path / "a.tar", [("x.jpg", picture(1))])
    (alone,) = good(tmp_path / "a.tar")
    (among,) = good(tmp_path)
    assert alone.name == among.name == "a.tar/x.jpg"
    assert alone.read() == among.read() == picture(1)


KEYS = st.lists(st.sampled_from(["a", "b", "c/a", "ü", "a b"]), min_size=1, max_size=6)


@settings(max_examples=40)
@given(KEYS)
def test_a_key_that_comes_again_is_left_out(keys):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.tar"
        write_tar(path, [(f"{key}.jpg", picture(n)) for n, key in enumerate(keys)])
        items = items_of(path)
        assert len(items) == len({item.name for item in items}) == len(keys)
        read = {i.name.removeprefix("s.tar/"): i.read() for i in items if not i.problem}
        assert read == {f"{k}.jpg": picture(keys.index(k)) for k in keys}
        assert {i.problem[0] for i in items if i.problem} <= {"duplicate_name"}


@settings(max_examples=80)
@given(st.floats(0, 1), st.booleans())
def test_a_shard_that_breaks_off_gives_what_lies_before(share, overwrite):
    members = [(f"{n}.{x}", d) for n in range(4) for x, d in (("jpg", picture(n)), ("cls", b"1"))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.tar"
        write_tar(path, members)
        whole = {i.name: (i.offset, i.length) for i in good(path)}
        data = path.read_bytes()
        end = max(offset + length for offset, length in whole.values())
        cut = round(share * (end - 1))
        path.write_bytes(data[:cut] + (b"\x01" * (len(data) - cut) if overwrite else b""))
        items = items_of(path)
        for item in items:
            if item.problem is None and item.offset + item.length <= cut:
                assert Photo.open(item.read())
        found = {i.name for i in items if i.problem is None}
        before = [n for n, (offset, length) in whole.items() if offset + length <= cut]
        # the sample at the break may have lost the file that states its terms
        assert set(before[:-1]) <= found
        # a picture whose header survived and whose bytes were overwritten is found and fails later
        assert (found == set(whole)) or any(i.problem for i in items)


def test_the_sample_at_the_break_counts_where_its_metadata_was_read(tmp_path):
    path = tmp_path / "s.tar"
    members = [("1.jpg", picture(1)), ("1.json", b'{"uses": ["mesh"]}'), ("2.jpg", picture(2))]
    write_tar(path, members)
    (first, second) = good(path)
    data = path.read_bytes()
    path.write_bytes(data[: second.offset + 5])
    assert [i.origin.uses for i in good(path)] == [("mesh",)]
    for cut in (first.offset + first.length, first.offset + -(-first.length // 512) * 512):
        path.write_bytes(data[:cut])  # inside the padding, and between two members
        assert good(path) == []
        assert "1.json may lie behind the break" in complaints(path)[0][1]


def test_the_line_of_a_broken_shard_says_where(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [("1.jpg", picture(1)), ("2.jpg", picture(2))])
    data = path.read_bytes()
    second = next(i for i in good(path) if i.name.endswith("2.jpg"))
    path.write_bytes(data[: second.offset + 10])
    assert complaints(path)[-1] == ("s.tar#end", "s.tar ends inside 2.jpg")
    header = second.offset - 512
    path.write_bytes(data[:header] + b"\x01" * 512 + data[second.offset :])
    assert "damaged header" in complaints(path)[-1][1]
    assert good(path) == []
    assert [name for name, _ in complaints(path)] == ["s.tar/1.jpg", "s.tar#end"]


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, bytes(10240)])
def test_files_that_are_no_shards_cost_a_line_each(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    write_tar(tmp_path / "1.tar", [("x.jpg", picture(1))])
    assert [i.name for i in good(tmp_path)] == ["1.tar/x.jpg"]
    empty = content == bytes(10240)  # an archive of nothing is a proper one
    assert [name for name, _ in complaints(tmp_path)] == ([] if empty else ["0.tar#end"])


def test_a_compressed_shard_is_named(tmp_path):
    write_tar(tmp_path / "a.tar", [("x.jpg", picture(1))])
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    assert complaints(tmp_path) == [
        ("b.tar.gz", "b.tar.gz is compressed and cannot be read in place: unpack it to a .tar")
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.json", b"{"),
        ("x.json", b"[1]"),
        ("x.json", b"\xff"),
        ("x.json", json.dumps({"split": "val"}).encode()),
        ("x.json", b" " * (1 << 20) + b"{}"),
        ("x.cls", b"seven"),
    ],
)
def test_a_picture_whose_metadata_is_broken_is_left_out(tmp_path, name, data):
    write_tar(tmp_path / "s.tar", [("x.jpg", picture(1)), (name, data), ("y.jpg", picture(2))])
    assert [i.name for i in good(tmp_path)] == ["s.tar/y.jpg"]
    assert [i.problem[0] for i in items_of(tmp_path) if i.problem] == ["metadata"]


@pytest.mark.parametrize(
    "data",
    [b"", b"no array", npy(MESH)[:500], npy(MESH[:10]), npy(MESH * np.nan)],
    ids=["empty", "text", "cut", "few", "nan"],
)
def test_a_mesh_that_is_none(tmp_path, data):
    write_tar(tmp_path / "s.tar", [("x.jpg", picture(1)), ("x.mesh.npy", data)])
    (item,) = good(tmp_path)
    assert item.read()
    with pytest.raises(SkippedItemError, match="labels"):
        item.labels()


def test_a_pickle_is_never_loaded(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    write_tar(tmp_path / "s.tar", [("x.jpg", picture(1)), ("x.mesh.npy", stream.getvalue())])
    (item,) = good(tmp_path)
    with pytest.raises(SkippedItemError, match="cannot be read"):
        item.labels()
