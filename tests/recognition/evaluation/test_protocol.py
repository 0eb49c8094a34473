from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.face.test_identity import tiny_embedder
from tests.recognition.evaluation.made_tree import PAIRS, STRANGERS, write_lists, write_tree
from tests.recognition.made_people import write_model
from visagist.cli.app import app
from visagist.errors import DataError, InputError
from visagist.recognition.evaluation.embedders import Embedder, open_embedder
from visagist.recognition.evaluation.protocol import evaluate, london_groups
from visagist.recognition.evaluation.worst import worst_sheet

FLAT = {
    "london_tar_far_1e-3",
    "pairs_tar_far_1e-2",
    "rank1",
    "fnir_fpir_1e-2",
    "fnir_fpir_1e-2_without_uir",
    "params",
    "megabytes",
    "n_identities",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("recognition")
    write_tree(root / "tree")
    write_lists(root / "lists")
    write_model(root / "ours")
    write_model(root / "plain", seed=6)
    onnx.save(tiny_embedder(), root / "judge.onnx")
    return root


@pytest.fixture(scope="module")
def report(place):
    return evaluate(
        place / "tree",
        model=str(place / "ours"),
        without_uir=str(place / "plain"),
        lists=place / "lists",
        embedders=[open_embedder(str(place / "judge.onnx"))],
        conditions=["grey", "face_24px", "grey"],
        resamples=20,
    )


def test_the_fields_of_the_report(report):
    assert report.keys() >= FLAT
    assert report["n_identities"] == PAIRS
    assert report["rank1"] == 1  # the network tells drawn people apart
    assert report["london_tar_far_1e-3"] is None  # six impostor pairs show no such rate
    assert 0 <= report["fnir_fpir_1e-2"] <= 1
    plain = report["embedders"]["without UIR"]
    assert report["fnir_fpir_1e-2_without_uir"] == plain["fnir_fpir_1e-2"]
    json.dumps(report, allow_nan=False)


def test_every_embedder_and_condition_gets_the_same_tables(report):
    everybody = [report, *report["embedders"].values()]
    assert list(report["embedders"]) == ["judge", "without UIR"]
    for one in everybody:
        assert list(one["sets"]) == ["london", "pairs", "both"]
        assert list(one["conditions"]) == ["grey", "face_24px"]
        both = one["sets"]["both"]
        assert (both["people"], both["impostor"]) == (PAIRS, PAIRS * (PAIRS - 1))
        assert one["strangers"]["strangers"] == STRANGERS
        # listed strangers, and searches and enrolled pictures with their own person left out
        assert one["strangers"]["non_mated_searches"] == STRANGERS + 2 * PAIRS
    grey = report["conditions"]["grey"]
    assert grey["strangers"]["non_mated_searches"] == STRANGERS + PAIRS
    assert grey["sets"] != report["sets"]


def test_the_worst_searches_come_first_and_can_be_drawn(place, report):
    worst = report["worst"]
    ahead = [case["score"] - case["nearest_score"] for case in worst]
    assert len(worst) == PAIRS
    assert ahead == sorted(ahead)
    assert all(c["file"].replace("/b", "/a") == c["enrolled"] for c in worst)
    assert all(c["nearest_other"] != c["enrolled"] for c in worst)
    sheet = worst_sheet(place / "tree", report)
    assert sheet.ndim == 3
    assert sheet.std() > 10
    with pytest.raises(InputError, match="worst"):
        worst_sheet(place / "tree", {"worst": []})


def test_faces_that_are_found_give_the_same_answers(place):
    report = evaluate(
        place / "tree",
        model=str(place / "ours"),
        lists=place / "lists",
        aligned="found",
        resamples=0,
    )
    assert report["rank1"] == 1
    assert report["failures"]["clean"] == {"pictures": 0, "reasons": {}}
    assert report["fnir_fpir_1e-2_without_uir"] is None


def test_failures_are_counted_and_cost(place, tmp_path):
    tree = shutil.copytree(place / "tree", tmp_path / "tree")
    (tree / "portraits" / "b1.png").write_bytes(b"no picture")
    (tree / "portraits" / "s0.png").unlink()
    Image.fromarray(np.full((400, 400, 3), 128, np.uint8)).save(tree / "portraits" / "b2.png")
    report = evaluate(
        tree, model=str(place / "ours"), lists=place / "lists", aligned="found", resamples=0
    )
    assert set(report["skipped"]) == {"portraits/b1.png", "portraits/s0.png"}
    failed = report["failures"]["clean"]
    assert (failed["pictures"], failed["mate"], failed["stranger"]) == (3, 2, 1)
    assert failed["reasons"] == {"unreadable": 2, "no face found": 1}
    assert report["sets"]["both"]["rank1"]["count"] == PAIRS - 2
    json.dumps(report, allow_nan=False)


def test_progress_counts_pictures(place):
    told = []
    evaluate(
        place / "tree",
        model=str(place / "ours"),
        lists=place / "lists",
        resamples=0,
        progress=lambda done, total: told.append((done, total)),
    )
    count = 2 * PAIRS + STRANGERS
    assert told == [(i + 1, count) for i in range(count)]


def test_wrong_requests_are_refused(place, tmp_path):
    ours = str(place / "ours")
    with pytest.raises(InputError, match="no condition 'fog'"):
        evaluate(place / "tree", model=ours, lists=place / "lists", conditions=["fog"])
    twin = Embedder("ours", lambda pixels, face: np.zeros(2, np.float32), 0.0)
    with pytest.raises(InputError, match="one name"):
        evaluate(place / "tree", model=ours, lists=place / "lists", embedders=[twin])
    with pytest.raises(InputError, match="none for 'train'"):
        evaluate(place / "tree", model=ours, split="train")
    with pytest.raises(DataError):
        evaluate(tmp_path, model=ours, lists=place / "lists")


def test_groups_are_read_where_the_tree_says_them(tmp_path, place):
    assert london_groups(place / "tree") == {}
    (tmp_path / "london").mkdir()
    rows = [
        ("face_id", "face_age", "face_gender", "face_eth"),
        ("000", "24", "female", "white"),
        ("001", "35", "male", "black"),
        ("002", "NA", "male", "white"),
    ]
    path = tmp_path / "london" / "london_info.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    groups = london_groups(tmp_path)
    assert groups["gender male"] == {"london:001", "london:002"}
    assert groups["age under 30"] == {"london:000"}
    assert groups["age unknown"] == {"london:002"}
    path.write_text("face_id,face_age\n1,2\n")
    with pytest.raises(DataError, match="face_gender"):
        london_groups(tmp_path)


def test_the_command_prints_the_fields_and_draws(place, tmp_path):
    arguments = ["evaluate", "recognition", "--data", str(place / "tree")]
    arguments += ["--model", str(place / "ours"), "--lists", str(place / "lists")]
    arguments += ["--without-uir", str(place / "plain"), "--embedder", str(place / "judge.onnx")]
    arguments += ["--resamples", "0", "--worst", str(tmp_path / "worst.png")]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document.keys() >= FLAT
    assert (tmp_path / "worst.png").stat().st_size > 1000
    text = CliRunner().invoke(app, [*arguments, "--condition", "mask"])
    assert text.exit_code == 0, text.output
    assert "conditions / mask / rank1" in text.stdout
