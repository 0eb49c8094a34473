from __future__ import annotations

import os

import pytest

from tests.corpus.sources.trees import TREES, put, put_all
from visagist.corpus.sources import SourceConfig, open_source, open_sources, parse_spec
from visagist.errors import DataError, InputError


def test_a_spec_is_a_path_or_a_layout_and_a_path(tmp_path):
    assert parse_spec("folder:a/b") == SourceConfig(layout="folder", path="a/b")
    assert parse_spec("folder:") == SourceConfig(layout="folder", path=".")
    assert parse_spec("a/b") == SourceConfig(path="a/b")
    assert parse_spec("C:\\faces").path == "C:\\faces"
    odd = tmp_path / "x:y"
    odd.mkdir()
    assert parse_spec(str(odd)) == SourceConfig(path=str(odd))


def test_an_unknown_layout_names_the_nearest(tmp_path):
    for spec in ("celeb-a:/data", SourceConfig(layout="celeb-a", path=str(tmp_path))):
        put(tmp_path / "a.jpg")
        with pytest.raises(InputError, match=r"unknown layout 'celeb-a'.*Did you mean celeba"):
            open_source(spec)


def test_folders_of_pictures_may_be_people_or_albums(tmp_path):
    put_all(tmp_path, ["ann/1.jpg", "bo/1.jpg"])
    with pytest.raises(InputError, match=r"identities:.*folder:"):
        open_source(tmp_path)
    people = {i.origin.identity for i in open_source(f"identities:{tmp_path}").items()}
    assert people == {f"{tmp_path.name}/ann", f"{tmp_path.name}/bo"}
    assert {i.origin.identity for i in open_source(f"folder:{tmp_path}").items()} == {""}


def test_two_layouts_in_one_folder_are_named(tmp_path):
    TREES["mt"](tmp_path)
    TREES["imagenet"](tmp_path)
    with pytest.raises(InputError, match=r"mt \(.*imagenet \(.*LAYOUT:PATH"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("layout", "part"),
    [("celeba", "img_align_celeba"), ("celeba-hq", "CelebA-HQ-img")],
)
def test_the_pictures_of_a_set_without_its_lists_are_refused(tmp_path, layout, part):
    TREES[layout](tmp_path)
    with pytest.raises(InputError, match=f"is a part of {layout}: give .*, or folder:"):
        open_source(tmp_path / part)
    items = open_source(f"folder:{tmp_path / part}").items()
    assert {i.origin.identity for i in items} == {""}


def test_only_the_paths_of_a_recipe_are_below_the_data_folder(tmp_path, monkeypatch):
    put(tmp_path / "data" / "a" / "1.jpg")
    put(tmp_path / "a" / "2.jpg")
    monkeypatch.chdir(tmp_path)
    sources = open_sources([SourceConfig(path="a"), "a"], tmp_path / "data")
    assert [[i.name for i in s.items()] for s in sources] == [["1.jpg"], ["2.jpg"]]
    monkeypatch.chdir("/")
    assert [len(i.read()) > 0 for s in sources for i in s.items()] == [True, True]


def test_a_file_that_is_no_source(tmp_path):
    put(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="is no folder"):
        open_source(tmp_path / "a.jpg")


def test_a_folder_without_a_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="no picture here"):
        list(open_source(f"folder:{tmp_path}").items())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be listed"):
            open_source(locked)
    finally:
        locked.chmod(0o700)


def test_sources_of_one_name_are_numbered(tmp_path):
    for place in ("a", "b"):
        put(tmp_path / place / "photos" / "x.jpg")
    sources = open_sources([tmp_path / "a" / "photos", tmp_path / "b" / "photos"])
    assert [s.name for s in sources] == ["photos", "photos-2"]
    assert [i.origin.source for s in sources for i in s.items()] == ["photos", "photos-2"]


@pytest.mark.parametrize("second", ["photos", "photos/more", "."])
def test_a_picture_is_in_one_source_only(tmp_path, second):
    put(tmp_path / "photos" / "more" / "x.jpg")
    specs = [f"folder:{tmp_path / 'photos'}", f"folder:{tmp_path / second}"]
    with pytest.raises(InputError, match="in two sources"):
        open_sources(specs)


def test_given_names_must_differ(tmp_path):
    for place in ("a", "b"):
        put(tmp_path / place / "x.jpg")
    with pytest.raises(InputError, match="two sources are named 'p'"):
        open_sources([SourceConfig(path=p, name="p") for p in ("a", "b")], tmp_path)


def test_rules_differ_by_folder_of_one_tree(tmp_path):
    put_all(tmp_path, ["mine/1.jpg", "theirs/1.jpg"])
    sources = open_sources(
        [
            SourceConfig(layout="folder", folders=("mine",), name="mine", may_show=True),
            SourceConfig(layout="folder", folders=("theirs",), name="theirs", uses=("mesh",)),
        ],
        tmp_path,
    )
    origins = [item.origin for source in sources for item in source.items()]
    assert [(o.item, o.may_show, o.uses == ("mesh",)) for o in origins] == [
        ("mine/1.jpg", True, False),
        ("theirs/1.jpg", False, True),
    ]


def test_sources_may_share_their_people(tmp_path):
    put_all(tmp_path, ["a/ann/1.jpg", "b/ann/1.jpg"])
    configs = [SourceConfig(layout="identities", path=p, people="us") for p in ("a", "b")]
    people = {i.origin.identity for s in open_sources(configs, tmp_path) for i in s.items()}
    assert people == {"us/ann"}


def test_pictures_of_refused_generators_cost_a_line_each(tmp_path):
    tree = TREES["labelled"](tmp_path)
    config = SourceConfig(path=str(tree.path), without_generators=("acme",))
    left_out = [i for i in open_source(config).items() if i.problem]
    assert [(i.name, i.problem[0]) for i in left_out] == [("generated/g.png", "excluded")]
    assert "acme" in left_out[0].problem[1]


def test_folders_outside_of_the_root_are_refused(tmp_path):
    put(tmp_path / "in" / "x.jpg")
    put(tmp_path / "out" / "x.jpg")
    config = SourceConfig(layout="folder", path=str(tmp_path / "in"), folders=("../out",))
    with pytest.raises(DataError, match="not below"):
        list(open_source(config).items())
