"""What holds for every layout in the registry; a new one needs a tree in trees.py."""

from __future__ import annotations

import pickle
import shutil
import socket

import pytest

from tests.corpus.sources.trees import TREES
from visagist.corpus.sample import USES
from visagist.corpus.sources import LAYOUTS, SourceConfig, open_source
from visagist.errors import DataError
from visagist.photo import Photo

pytestmark = pytest.mark.parametrize("layout", LAYOUTS)


@pytest.fixture
def tree(layout, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    return TREES[layout](root)


def pictures(source):
    return [item for item in source.items() if item.problem is None]


def test_it_is_recognised_by_its_files(layout, tree):
    assert open_source(tree.path).layout == layout
    assert open_source(f"{layout}:{tree.path}").layout == layout


def test_every_picture_with_its_person_and_split(layout, tree):
    source = open_source(tree.path)
    people = tree.people or source.name
    expected = {n: (i and f"{people}/{i}", s) for n, (i, s) in tree.expected.items()}
    found = {i.name: (i.origin.identity, i.origin.split) for i in pictures(source)}
    assert found == expected
    assert {i.origin.source for i in source.items()} == {source.name}


def test_every_item_can_be_read_and_sent_to_a_worker(layout, tree):
    for item in pictures(open_source(tree.path)):
        there = pickle.loads(pickle.dumps(item))
        assert there == item
        assert Photo.open(there.read()).pixels.shape[2] == 3
        given = there.labels()
        if given is not None and given.mesh is not None:
            assert given.mesh.shape == (478, 3)


def test_names_are_unique_and_the_order_is_stable(layout, tree):
    items = list(open_source(tree.path).items())
    assert list(open_source(tree.path).items()) == items
    assert len({item.name for item in items}) == len(items)


def test_nothing_of_this_machine_is_in_a_name(layout, tree, tmp_path):
    before = open_source(tree.path)
    items = [(i.origin, i.facts) for i in before.items()]
    moved = tmp_path / "elsewhere" / tree.path.name
    shutil.copytree(tree.path, moved)
    after = open_source(moved)
    assert [(i.origin, i.facts) for i in after.items()] == items
    assert after.describe() == before.describe()
    assert str(tmp_path) not in repr(before.describe())


def test_the_terms_of_the_set_and_then_those_of_the_recipe(layout, tree):
    terms = LAYOUTS[layout].terms
    source = open_source(tree.path)
    assert source.licence == terms.licence
    for item in pictures(source):
        assert set(item.origin.uses) <= set(terms.uses) <= set(USES)
        assert not item.origin.may_show
        assert item.origin.licence or not terms.licence
    rules = {"licence": "mine", "uses": ("mesh",), "may_show": True, "kind": "head"}
    for item in pictures(open_source(SourceConfig(path=str(tree.path), **rules))):
        origin = item.origin
        assert (origin.licence, origin.uses, origin.may_show) == ("mine", ("mesh",), True)
        assert origin.kind == "head"


def test_one_split_only(layout, tree):
    config = SourceConfig(path=str(tree.path), only_split="test")
    items = {i.name: i for i in open_source(config).items()}
    for name, (_, split) in tree.expected.items():
        item = items[name]
        if split in {"", "test"}:
            assert (item.origin.split, item.problem) == ("test", None)
        else:
            assert item.problem is not None and item.problem[0] == "excluded"


def test_an_empty_folder(layout, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        list(open_source(f"{layout}:{tmp_path / 'empty'}").items())
    with pytest.raises(DataError, match="does not exist"):
        open_source(f"{layout}:{tmp_path / 'nowhere'}")


def test_a_folder_that_is_not_there(layout, tree):
    with pytest.raises(DataError):
        list(open_source(SourceConfig(path=str(tree.path), folders=("nowhere",))).items())


def test_nothing_is_downloaded(layout, tree, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a reader opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for item in pictures(open_source(tree.path)):
        item.read()
