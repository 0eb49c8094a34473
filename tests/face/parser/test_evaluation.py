from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.corpus.labelled_tree import placed_face, write_tree
from tests.face.parser.small_parser import heads, untrained
from visagist.cli.app import app
from visagist.errors import DataError
from visagist.face.parser.classes import (
    BACKGROUND,
    CLASSES,
    EYES,
    HAIR,
    IGNORE,
    OCCLUDER,
    SKIN,
)
from visagist.face.parser.evaluation import (
    Case,
    Tally,
    by_colour,
    by_mesh,
    confusion,
    covered,
    evaluate,
    iou,
)
from visagist.face.parser.labels import face_labels

N = len(CLASSES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("parser"))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval")
    return write_tree(folder / "tree", {"a.png": "test", "b.png": "test"}), heads(folder)


def face(number: int = 0) -> Case:
    view, mesh = placed_face(number)
    return Case("face", view, mesh, face_labels(mesh, len(view)))


class Oracle:
    """A parser that knows the truth of one case."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = truth

    def probabilities(self, view: np.ndarray) -> np.ndarray:
        known = np.where(self.truth == IGNORE, BACKGROUND, self.truth)
        return np.stack([(known == c).astype(np.float32) for c in range(N)])


def test_confusion_and_iou_by_hand():
    truth = np.array([[SKIN, SKIN, HAIR, IGNORE]], np.uint8)
    counts = confusion(np.array([[SKIN, HAIR, HAIR, HAIR]], np.uint8), truth)
    scores = iou(counts)
    assert counts.sum() == 3
    assert scores[SKIN] == 1 / 2
    assert scores[HAIR] == 1 / 2
    assert np.isnan(scores[EYES])


def test_who_knows_the_truth_scores_one():
    case = face()
    tally = Tally(Oracle(case.truth))
    assert tally.add(case) == 1.0
    report = tally.report(("skin", "lips", "eyes"))
    assert report["skin"] == report["lips"] == report["eyes"] == report["miou"] == 1.0


def test_the_mesh_knows_the_face_and_no_cover():
    case = face()
    hidden = covered(case, 3)
    labels = by_mesh(case.mesh, len(case.view))
    assert (labels[case.truth == SKIN] == SKIN).mean() > 0.97
    assert OCCLUDER in hidden.truth or HAIR in hidden.truth
    assert not np.isin(labels, (HAIR, OCCLUDER)).any()


def test_colours_see_a_green_spot_on_a_cheek():
    case = face()
    view = case.view.copy()
    x, y = case.mesh[205, :2].astype(int)
    view[y - 8 : y + 8, x - 8 : x + 8] = (20, 200, 40)
    labels = by_colour(view, case.mesh)
    assert (labels[y - 5 : y + 5, x - 5 : x + 5] == OCCLUDER).all()
    assert (by_colour(case.view, case.mesh)[y - 5 : y + 5, x - 5 : x + 5] == SKIN).all()


def test_covers_are_the_same_every_time_and_others_for_another_seed():
    case = face()
    first, second, other = covered(case, 3), covered(case, 3), covered(case, 4)
    assert np.array_equal(first.view, second.view)
    assert np.array_equal(first.truth, second.truth)
    assert not np.array_equal(first.view, other.view)


def test_the_report_has_every_part(places, model):
    seen = []
    report = evaluate(
        *places, model=str(model), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 4) for n in range(1, 5)]
    assert report["heads"]["n"] == report["photos"]["n"] == report["covered"]["n"] == 2
    for part in ("heads", "photos", "covered"):
        assert {"mesh", "colour"} <= set(report[part])
    assert report["covered"]["mesh"]["recall"] == 0
    assert report["photos"]["mesh"]["miou"] > 0.95
    assert len(report["worst"]) == 4
    json.dumps(report, allow_nan=False)


def test_nothing_to_measure_is_told(model, places):
    with pytest.raises(DataError, match="--data"):
        evaluate(None, None, model=str(model))
    only = evaluate(places[0], None, model=str(model), limit=1)
    assert "heads" not in only
    assert only["photos"]["n"] == 1


def test_the_verb_prints_json_and_draws_the_worst(places, model, tmp_path):
    data, corpus = map(str, places)
    result = CliRunner().invoke(
        app,
        ["evaluate", "parser", "--data", data, "--heads", corpus, "--model", str(model),
         "--worst", str(tmp_path / "worst.png"), "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["heads"]["n"] == 2
    assert (tmp_path / "worst.png").is_file()
