from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.sources.trees import put, put_all
from visagist.corpus.sources import open_source
from visagist.corpus.sources import walk as walk_module
from visagist.corpus.sources.walk import walk_pictures

PART = st.one_of(
    st.sampled_from(["a", "A", "b 1", "день", "e\u0301", "é", "100%", "%41", "x#2", "-", "~"]),
    st.binary(min_size=1, max_size=4).map(os.fsdecode),
)
NAME = st.tuples(st.lists(PART, max_size=2), PART).filter(
    lambda parts: all(usable(part) for part in (*parts[0], parts[1]))
)


def usable(part: str) -> bool:
    return "/" not in part and "\0" not in part and not part.startswith(".")


@settings(max_examples=40)
@given(st.lists(NAME, min_size=1, max_size=8))
def test_every_file_once_under_its_own_name_in_a_stable_order(names):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = {}
        for number, (above, last) in enumerate(names):
            path = Path(*above, f"{last}.jpg")
            try:
                put(root / path, number)
            except OSError:  # a folder and a file of one name
                continue
            written[root / path] = (root / path).read_bytes()
        items = list(open_source(f"folder:{root}").items())
        assert {item.file: item.read() for item in items} == written
        assert len({item.name for item in items}) == len(written)
        assert [i.name for i in open_source(f"folder:{root}").items()] == [i.name for i in items]
        for item in items:
            item.name.encode("utf-8")


def names(root, *folders):
    return [picture.name for picture in walk_pictures(root, folders)]


def test_folders_are_walked_in_place_and_hidden_files_passed_over(tmp_path):
    put_all(tmp_path, ["b/2.jpg", "b/10.jpg", "a.jpg", "c.jpg", ".x/1.jpg", "b/.y.jpg"])
    assert names(tmp_path) == ["a.jpg", "b/10.jpg", "b/2.jpg", "c.jpg"]
    assert names(tmp_path, "b") == ["b/10.jpg", "b/2.jpg"]


def test_links_that_lead_back_or_out_cost_a_line(tmp_path):
    root = tmp_path / "root"
    put_all(root, ["a/1.jpg", "b/2.jpg"])
    put(tmp_path / "outside" / "3.jpg")
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    (root / "a" / "self").symlink_to(root / "a", target_is_directory=True)
    (root / "b" / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "b" / "file.jpg").symlink_to(tmp_path / "outside" / "3.jpg")
    (root / "b" / "same.jpg").symlink_to(root / "a" / "1.jpg")
    (root / "b" / "dangling.jpg").symlink_to(root / "nowhere.jpg")
    found = {p.name: p.problem for p in walk_pictures(root)}
    good = {name for name, problem in found.items() if problem is None}
    assert good == {"a/1.jpg", "b/2.jpg", "b/same.jpg", "b/dangling.jpg"}
    assert {name: problem[0] for name, problem in found.items() if problem} == dict.fromkeys(
        ["a/loop", "a/self", "b/out", "b/file.jpg"], "link"
    )
    assert "outside of the source" in found["b/out"][1]
    assert "folder above" in found["a/loop"][1]


def test_a_root_that_is_a_link_itself_is_followed(tmp_path):
    put(tmp_path / "real" / "1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert names(tmp_path / "link") == ["1.jpg"]


def test_a_folder_that_cannot_be_listed_costs_a_line(tmp_path, monkeypatch):
    put_all(tmp_path, ["a/1.jpg", "b/2.jpg"])
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(walk_module.os, "scandir", scandir)
    found = {p.name: p.problem for p in walk_pictures(tmp_path)}
    assert found["b/2.jpg"] is None
    assert found["a"] == ("unreadable", "a: Permission denied")


class Entry:
    """A file that exists only in a listing."""

    def __init__(self, name):
        self.name = name

    def is_dir(self):
        return False

    def is_symlink(self):
        return False


class Listing:
    def __init__(self, count):
        self.count = count

    def __enter__(self):
        return (Entry(f"{n:07d}.jpg") for n in reversed(range(self.count)))

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize("count", [1_000_000])
def test_a_million_files_are_listed_without_opening_one(tmp_path, monkeypatch, count):
    (tmp_path / "x.jpg").write_bytes(b"")
    monkeypatch.setattr(walk_module.os, "scandir", lambda _: Listing(count))
    items = open_source(f"folder:{tmp_path}").items()
    first = list(itertools.islice(items, 1000))
    assert [item.name for item in first] == [f"{n:07d}.jpg" for n in range(1000)]
