from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from tests.corpus.build.people import picture
from tests.corpus.labelled_tree import placed_face, write_tree

pytest.importorskip("pyarrow")
pytest.importorskip("cv2")

SPLITS = {f"gesicht-{n}-ä.png": ("train", "validation", "test")[n % 3] for n in range(6)}


@pytest.fixture
def tree(tmp_path):
    """Six labelled faces under a veil each, so that none is a copy; and a broken file."""
    root = write_tree(tmp_path / "Fotos ñ", SPLITS)
    for number, name in enumerate(SPLITS):
        face, _ = placed_face(number)
        veil = np.asarray(Image.fromarray(picture(number)).resize((300, 300)))
        Image.fromarray(face // 2 + veil // 2).save(root / "portraits" / name)
    (root / "portraits" / "gesicht-5-ä.png").write_bytes(b"\x89PNG broken")
    return root


def test_a_build_from_the_command_line(run, tree, tmp_path):
    out = tmp_path / "out"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("photos: {min_sharpness: 0, size: 512}\n")
    options = [tree, "-o", out, "--recipe", recipe, "--size", "96", "--engine", "serial"]
    ran = run("corpus", "build", *options, "--json")
    assert ran.code == 0
    told = ran.json
    assert (told["items"], told["kept"], told["built"]) == (6, 5, True)
    assert told["dropped"] == {"unreadable": 1}
    assert told["splits"] == {"train": 2, "validation": 2, "test": 1}
    digest = hashlib.sha256((out / "index.parquet").read_bytes()).hexdigest()
    assert told["index_sha256"] == digest
    (line,) = [json.loads(text) for text in (out / "report.jsonl").read_text().splitlines()]
    assert line["item"] == "portraits/gesicht-5-ä.png"
    summary = (out / "corpus.json").read_bytes()
    again = run("corpus", "build", *options)
    assert "nothing to do" in again.out
    assert (out / "corpus.json").read_bytes() == summary


def test_other_settings_on_a_finished_corpus(run, tree, tmp_path):
    options = ["corpus", "build", tree, "-o", tmp_path / "out", "--engine", "serial", "--size"]
    assert run(*options, "96").code == 0
    ran = run(*options, "64")
    assert ran.code == 2
    assert "task.photos.size = 96, and now it is 64" in ran.err
    assert run(*options, "64", "--overwrite").code == 0


def test_new_pictures_in_a_source(run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(2):
        Image.fromarray(np.full((64, 64, 3), n, np.uint8)).save(folder / f"{n}.png")
    options = ["corpus", "build", folder, "-o", tmp_path / "out", "--engine", "serial"]
    ran = run(*options, "--json")
    assert ran.json["dropped"] == {"no_face": 2}
    (folder / "2.png").write_bytes((folder / "1.png").read_bytes())
    ran = run(*options)
    assert ran.code == 3
    assert "2 items then, 3 now" in ran.err


def test_a_recipe_names_its_wrong_field(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("photos: {size: 96, zoom: 99}\n")
    ran = run("corpus", "build", tmp_path, "--recipe", recipe, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "photos.zoom" in ran.err
    recipe.write_text("build: {splits: {validation: 0.6, test: 0.6}}\n")
    assert "more than everything" in run("corpus", "build", "--recipe", recipe, "-o", "x").err
    recipe.write_text("photo: {}\n")
    assert "photo: Extra inputs" in run("corpus", "build", "--recipe", recipe, "-o", "x").err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "nothing to build from"),
        (["nowhere"], 3, "does not exist"),
        (["{empty}"], 3, "empty folder"),
        (["celebs:x"], 2, "Did you mean celeba"),
        (["{file}"], 2, "is no folder, no .tar and no .csv"),
        (["{file}", "--address", "1.2.3.4"], 2, "is no folder"),
    ],
)
def test_bad_input(run, tmp_path, arguments, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    places = {"empty": tmp_path / "empty", "file": tmp_path / "file.txt"}
    filled = [a.format(**places) for a in arguments]
    ran = run("corpus", "build", *filled, "-o", tmp_path / "out")
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_the_sources_folder_is_no_place_for_the_corpus(run, tree):
    ran = run("corpus", "build", tree, "-o", tree, "--engine", "serial")
    assert ran.code == 2
    assert "no part of a corpus" in ran.err
