from __future__ import annotations

import pytest

from tests.corpus.small_corpus import drawn_sample, write_corpus
from tests.recognition.made_people import write_model

pytest.importorskip("pyarrow")
pytest.importorskip("cv2")

from visagist.corpus.corpus import Corpus


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Twelve people of one skin in nearly one pose, so that the usual rules let them mix."""
    numbers = [n for n in range(100) if n % 3 == 2 and n % 4 < 3][:12]
    samples = [(drawn_sample(n, size=160, zoom=1.6), "train") for n in numbers]
    return write_corpus(tmp_path_factory.mktemp("faces") / "corpus", samples)


def test_blends_from_the_command_line(run, faces, tmp_path):
    options = ["-n", "3", "--parents", "2", "--split", "train", "--engine", "serial"]
    ran = run("corpus", "blends", faces, "-o", tmp_path / "out", *options, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["items"], ran.json["samples"], ran.json["built"]) == (3, 6, True)
    made = Corpus.open(tmp_path / "out").records
    assert {r.origin.kind for r in made} == {"blend"}
    assert {r.split for r in made} == {"train"}
    assert all(len(r.origin.parents) == 2 for r in made)
    again = run("corpus", "blends", faces, "-o", tmp_path / "out", *options)
    assert again.code == 0
    assert "nothing to do" in again.out
    other = run("corpus", "blends", faces, "-o", tmp_path / "two", *options, "--json")
    assert other.json["index_sha256"] == ran.json["index_sha256"]


def test_a_split_without_people_and_a_folder_without_a_corpus(run, faces, tmp_path):
    ran = run("corpus", "blends", faces, "-o", tmp_path / "out", "--split", "validation")
    assert ran.code == 2
    assert "0 people in validation" in ran.err
    ran = run("corpus", "blends", tmp_path, "-o", tmp_path / "out")
    assert ran.code == 3
    assert "no finished corpus" in ran.err


def test_a_recognition_model_refuses_blends_that_resemble_a_parent(run, faces, tmp_path):
    model = write_model(tmp_path / "drawn")
    options = ["-n", "2", "--parents", "2", "--split", "train", "--engine", "serial", "--json"]
    options += ["--embedder", model]
    ran = run("corpus", "blends", faces, "-o", tmp_path / "all", *options, "--max-cosine", "1")
    assert ran.code == 0, ran.err
    assert ran.json["samples"] == 4
    ran = run("corpus", "blends", faces, "-o", tmp_path / "none", *options, "--max-cosine", "-1")
    assert ran.json["dropped"] == {"like_a_parent": 2}
    ran = run("corpus", "blends", faces, "-o", tmp_path / "no", "--embedder", "nobody")
    assert ran.code == 6
    assert "nobody" in ran.err
