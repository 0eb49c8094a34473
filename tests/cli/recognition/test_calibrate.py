from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recognition.made_people import write_model
from visagist.cli.calibrate import calibrate
from visagist.recognition.calibration_store import read_calibration
from visagist.runtime.manifest import verify as verify_folder


def test_one_folder_a_person(calibrated) -> None:
    path, told = calibrated
    report = json.loads(told)
    assert (report["people"], report["pictures"], report["mated_people"]) == (11, 13, 2)
    assert (report["people_pairs"], report["genuine_pairs"]) == (55, 2)
    assert report["refused"] == {"unreadable": 1}
    assert report["written"] == str(path)
    far, fpir = report["thresholds"]
    assert (far["kind"], far["rate"], far["gallery_size"]) == ("far", 0.06, None)
    assert (fpir["kind"], fpir["rate"], fpir["gallery_size"]) == ("fpir", 0.3, 7)
    for found in (far, fpir):
        assert found["method"] == "measured"
        assert found["low"] <= found["rate"] <= found["high"]
        assert found["tar"] == 1.0
    stored = read_calibration(path)
    assert stored.counts.people == 11
    assert stored.threshold(far=0.06).value == far["threshold"]


def test_into_the_model_and_what_cannot_be_shown(run, drawn_people, tmp_path, own_home) -> None:
    """The calibration is kept although one of the promises asked for is refused."""
    model = write_model(tmp_path / "own model")
    ran = run("calibrate", drawn_people, "--model", model, "--into-model", "--far", "1e-3")
    assert ran.code == 7
    assert "78 people or more, which is 67 more" in ran.err
    assert "broken.jpg" in ran.err
    assert "calibration.json" in verify_folder(model).files
    assert not own_home.exists()
    one, other = (drawn_people / "person 00" / f"{shot}.jpg" for shot in (0, 1))
    assert run("verify", one, other, "--model", model, "--far", "0.06").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing to calibrate with"),
        (["people", "--fpir", "0.1"], 2, "go together"),
        (["people", "--gallery-size", "3"], 2, "go together"),
        (["people", "-o", "x.json", "--into-model"], 2, "not both"),
        (["nowhere"], 3, "does not exist"),
        (["people", "--split", "train"], 2, "no picture gave a template"),
    ],
)
def test_bad_arguments(run, drawn_people, drawn_model, arguments, code, words) -> None:
    given = [str(drawn_people) if a == "people" else a for a in arguments]
    ran = run("calibrate", *given, "--model", drawn_model)
    assert ran.code == code
    assert words in ran.err


def test_a_corpus(run, drawn_model, tmp_path: Path) -> None:
    """Its faces are not searched for again, and a split's people are counted alone."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("cv2")
    from tests.corpus.small_corpus import drawn_sample, write_corpus

    samples = [(drawn_sample(n, identity=f"drawn/{n % 12}"), "train") for n in range(15)]
    samples += [(drawn_sample(n), "test") for n in range(15, 18)]
    write_corpus(tmp_path / "corpus", samples)
    ran = run(
        "calibrate",
        "corpus",
        "--model",
        drawn_model,
        "--no-gate",
        "--split",
        "train",
        "-o",
        "m.json",
    )
    assert ran.code == 0, ran.err
    assert "12 people (3 with several pictures), 15 pictures, 66 pairs" in ran.out
    assert "written to m.json" in ran.out


def test_the_help_says_what_it_needs() -> None:
    assert "how many more it would take" in (calibrate.__doc__ or "")
