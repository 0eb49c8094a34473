"""docs/data-sets.md and recipes/corpus.yaml say what the code does."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.corpus.labelled_tree import write_tree
from visagist.corpus.sample import USES
from visagist.corpus.sources import LAYOUTS, open_sources

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "data-sets.md"
HEAD = ("layout", "set", "where", "licence", "sold or shipped", "terms", "identity", "provenance")


def table() -> str:
    """The table of the page, from the code."""
    rows = [HEAD, ["---"] * len(HEAD)]
    for name, layout in LAYOUTS.items():
        terms = layout.terms
        where = f"[page]({terms.page})" if terms.page else "yours"
        licence = terms.licence or "yours"
        cells = [f"`{name}`", terms.title, where, licence, terms.commercial, terms.note]
        rows.append([*cells, terms.identity, terms.provenance])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_page_shows_the_terms_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"<!-- terms -->\n(.*)\n<!-- /terms -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == table(), f"the table of docs/data-sets.md should be\n{table()}"


def test_the_page_has_a_section_for_every_layout():
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\S+)$", text, re.MULTILINE) == list(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_terms_are_complete(layout):
    terms = LAYOUTS[layout].terms
    for text in (terms.title, terms.note, terms.identity, terms.provenance):
        assert text
        assert "|" not in text
        assert "\n" not in text
    assert set(terms.uses) <= set(USES)
    assert terms.page.startswith("https://") == bool(terms.page)
    if "non-commercial" in terms.licence or "NC" in terms.licence:
        assert terms.commercial == "no"


FOLDERS = ("portraits", "portraits_grey", "faces_easy", "london", "generated", "generated_minors")
REFUSED = {"FLUX1_dev", "FLUX1_pro", "DALLE3"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A tree as our own, with one picture of every split and generator in each folder."""
    root = tmp_path_factory.mktemp("data")
    names = {"a.png": "train", "b.png": "validation", "c.png": "test", "d.png": "train"}
    for folder in FOLDERS:
        write_tree(root, names, folder=folder)
    for folder in ("generated", "generated_minors"):
        with (root / folder / "index.csv").open("w", newline="") as stream:
            rows = zip(names, ["SDXL", "FLUX1_dev", "FLUX1_pro", "DALLE3"], strict=True)
            csv.writer(stream).writerows([["file", "generator"], *rows])
    return root


@pytest.fixture(scope="module")
def items(data):
    pytest.importorskip("pyarrow")
    from visagist.corpus.build.config import CorpusRecipe

    recipe = CorpusRecipe.read(ROOT / "recipes" / "corpus.yaml")
    return [item for source in open_sources(recipe.sources, data) for item in source.items()]


def kept(items, folder):
    return [i for i in items if i.name.startswith(f"{folder}/") and i.problem is None]


def test_our_recipe_reads_every_folder_and_states_its_licence(items):
    for folder in FOLDERS:
        assert kept(items, folder)
        assert all(i.origin.licence and i.origin.identity for i in kept(items, folder))
    assert len(items) == 4 * len(FOLDERS)


def test_our_recipe_only_tests_on_london(items):
    assert {i.origin.split for i in kept(items, "london")} == {"test"}
    assert [i.name for i in kept(items, "london")] == ["london/c.png"]


def test_our_recipe_teaches_two_things_with_minors(items):
    assert {i.origin.uses for i in kept(items, "generated_minors")} == {("detection", "mesh")}
    assert all(i.origin.uses == USES for i in kept(items, "generated"))


def test_our_recipe_leaves_out_generators_whose_terms_forbid_training(items):
    generators = {i.origin.generator for i in items if i.problem is None}
    assert generators == {"", "SDXL"}
    left_out = {i.origin.generator for i in items if i.problem is not None} - {""}
    assert left_out == REFUSED


def test_our_recipe_shows_only_generated_adults(items):
    shown = {i.name.partition("/")[0] for i in items if i.origin.may_show}
    assert shown == {"generated"}
    kinds = {i.name.partition("/")[0] for i in items if i.origin.kind == "generated"}
    assert kinds == {"generated", "generated_minors"}


def test_our_recipe_keeps_the_people_of_both_portrait_folders_together(items):
    sources = {i.origin.source for i in items if i.name.startswith("portraits")}
    assert sources == {"congress"}
