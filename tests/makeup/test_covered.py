from __future__ import annotations

import pytest

from tests.corpus.labelled_tree import write_tree
from tests.face.parser.small_parser import untrained
from tests.makeup.model_folder import write_makeup_model
from visagist.errors import DataError
from visagist.face.parser.inference import Parser
from visagist.makeup.covered import evaluate_covered


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("covered")
    splits = {f"{n}.png": "test" for n in range(4)} | {"z.png": "test"}
    tree = write_tree(folder / "tree", splits)
    (tree / "portraits" / "z.png").write_bytes(b"not a picture")
    return tree, str(write_makeup_model(folder)), str(untrained(folder / "parser"))


def measured(places, **options):
    tree, model, parser = places
    return evaluate_covered(tree, model=model, parser=parser, **options)


@pytest.mark.parametrize(("clear", "kept"), [(1.0, 1.0), (0.0, 0.0), (0.25, 0.25)])
def test_what_the_parser_says_is_what_is_left(places, monkeypatch, clear, kept):
    def uncovered(self, pixels, alignment):
        import numpy as np

        return np.full((alignment.size, alignment.size), clear, np.float32)

    monkeypatch.setattr(Parser, "uncovered", uncovered)
    report = measured(places)
    assert report["faces"] == 4  # the broken picture is passed over
    assert report["kept"] == report["kept_bare"] == kept
    assert report["occluder"] > 0
    assert report["occluder_protected"] == pytest.approx(clear * report["occluder"], abs=1e-3)


def test_the_same_faces_get_the_same_covers(places):
    seen = []
    first = measured(places, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 5) for n in range(1, 6)]
    assert measured(places) == first


def test_no_people_of_that_split(places):
    with pytest.raises(DataError, match="validation"):
        measured(places, split="validation")
