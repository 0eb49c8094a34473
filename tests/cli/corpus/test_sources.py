from __future__ import annotations

import pytest

from tests.corpus.sources.trees import TREES, put
from visagist.corpus.sources import LAYOUTS


def test_layouts_with_their_terms(run):
    told = run("corpus", "sources", "--json").json["layouts"]
    assert [entry["layout"] for entry in told] == list(LAYOUTS)
    by_name = {entry["layout"]: entry for entry in told}
    assert by_name["celeba"]["sold_or_shipped"] == "no"
    assert "recognition" not in by_name["ffhq"]["uses"]
    assert "https://github.com/NVlabs/ffhq-dataset" in run("corpus", "sources").out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_source_is_counted_without_opening_a_picture(run, tmp_path, layout):
    tree = TREES[layout](tmp_path)
    for path in tmp_path.rglob("*.jpg"):
        path.write_bytes(b"not a picture")
    (told,) = run("corpus", "sources", tree.path, "--json").json["sources"]
    assert told["layout"] == layout
    assert told["pictures"] == len(tree.expected)
    assert told["identities"] == len({i for i, _ in tree.expected.values()} - {""})
    assert told["without_identity"] == sum(not i for i, _ in tree.expected.values())
    assert sum(told["splits"].values()) == told["pictures"]
    assert set(told["left_out"]) <= {"metadata"}


def test_what_is_left_out_is_shown_with_its_reason(run, tmp_path):
    TREES["lfw"](tmp_path)
    (tmp_path / "pairs.txt").unlink()
    put(tmp_path / "lfw" / "Ann_Lee" / "x.jpg")
    text = run("corpus", "sources", tmp_path).out
    assert "left out, metadata     1: pairs.txt is missing" in text
    assert "left out, no identity  1: lfw/Ann_Lee/x.jpg is not named after" in text
    assert "by identity 4" in text


def test_the_sources_of_a_recipe(run, tmp_path):
    pytest.importorskip("pyarrow")
    put(tmp_path / "data" / "mine" / "1.jpg")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("sources: [{path: mine, licence: CC0-1.0, only_split: test}]\n")
    ran = run("corpus", "sources", "--recipe", recipe, "--data", tmp_path / "data", "--json")
    (told,) = ran.json["sources"]
    assert (told["licences"], told["splits"]) == ({"CC0-1.0": 1}, {"test": 1})


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [("nowhere", 3, "does not exist"), ("celebs:x", 2, "Did you mean celeba"), ("", 3, "empty")],
)
def test_sources_that_are_none(run, tmp_path, spec, code, message):
    (tmp_path / "empty").mkdir()
    ran = run("corpus", "sources", spec if ":" in spec else tmp_path / "empty" / spec)
    assert ran.code == code
    assert message in ran.err
