from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.small_corpus import drawn_corpus
from visagist.photo import Photo


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return drawn_corpus(tmp_path / "corpus", train=2, validation=1, test=0)


def test_stats(run, corpus: Path) -> None:
    told = run("corpus", "stats", corpus, "--json").json
    assert told["images"] == 3
    assert {"images", "identities", "splits", "dropped", "labels"} <= set(told)
    text = run("corpus", "stats", corpus).out
    assert "no_face  1" in text
    assert "validation  1       1" in text


def test_show(run, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    told = run("corpus", "show", corpus, "-o", out, "--draw", "mesh,parts", "--json").json
    assert told == {"output": str(out), "faces": 3, "must_not_be_published": 0}
    assert Photo.open(out).width > 600
    assert run("corpus", "show", corpus, "-o", out).code == 3  # it exists
    again = ("corpus", "show", corpus, "-o", out, "--overwrite", "--cell", "64")
    assert run(*again, "--worst", "sharpness", "--split", "train").code == 0
    assert run(*again, "--sort", "beauty").code == 2


def test_what_is_no_corpus(run, tmp_path: Path) -> None:
    ran = run("corpus", "stats", tmp_path, "--json")
    assert ran.code == 3
    assert ran.json["error"]["type"] == "DataError"


RECIPES = Path(__file__).resolve().parents[3] / "recipes"


@pytest.mark.parametrize("name", ["face-mesh", "makeup-tiny", "face-parser"])
def test_what_a_training_sees(run, tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch")
    corpus = drawn_corpus(
        tmp_path / "corpus", train=2, validation=0, test=0, size=576, zoom=2.25, may_show=False
    )
    out = tmp_path / "sheet.png"
    told = run(
        "corpus", "show", corpus, "--augment", RECIPES / f"{name}.yaml", "-o", out,
        "--cell", "64", "--json",
    )  # fmt: skip
    assert told.json["must_not_be_published"] == 2
    page = Photo.open(out)
    assert page.width == 2 * 64 + 3 * 8
    operations = 6 if name == "face-mesh" else 5
    assert page.height == (1 + operations + 3) * (64 + 16 + 8) + 8 + 28


def test_a_recipe_that_no_training_knows(run, corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("sauce: 2\n")
    ran = run("corpus", "show", corpus, "--augment", recipe, "-o", tmp_path / "x.png")
    assert ran.code == 2
    assert "sauce" in ran.err
