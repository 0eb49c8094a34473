from __future__ import annotations

import json

import numpy as np
import pytest

from tests.recognition.made_people import person, write_model
from visagist.cli.verify import DIFFERENT
from visagist.photo import Photo


@pytest.fixture
def verify(run, drawn_model, calibrated):
    def _verify(*arguments):
        return run("verify", *arguments, "--model", drawn_model, "--calibration", calibrated[0])

    return _verify


def test_the_same_person(verify, drawn_people) -> None:
    folder = drawn_people / "person 00"
    ran = verify(folder / "0.jpg", folder / "1.jpg", "--far", "0.06", "--json")
    assert ran.code == 0, ran.err
    report = ran.json
    assert (report["decision"], report["same"], report["far"]) == ("same", True, 0.06)
    assert report["score"] >= report["threshold"]
    assert report["far_low"] <= report["far_high"]
    assert report["calibration"].startswith("11 people of ")
    assert report["a"]["quality"]["face_width"] > 100


def test_different_people_end_with_a_code_of_their_own(verify, drawn_people) -> None:
    a, b = drawn_people / "person 02" / "0.jpg", drawn_people / "person 03" / "0.jpg"
    ran = verify(a, b, "--far", "0.06")
    assert ran.code == DIFFERENT == 10
    assert ran.out.startswith("different: score ")
    assert "0.06 wanted, 95 % interval " in ran.out
    assert ran.err == ""


def test_a_rate_beyond_the_data(verify, drawn_people) -> None:
    a, b = drawn_people / "person 02" / "0.jpg", drawn_people / "person 03" / "0.jpg"
    ran = verify(a, b, "--far", "1e-4", "--json")
    assert (ran.code, ran.json["error"]["type"]) == (7, "CalibrationError")


def test_without_a_calibration(run, drawn_people, drawn_model) -> None:
    a = drawn_people / "person 02" / "0.jpg"
    ran = run("verify", a, a, "--model", drawn_model)
    assert ran.code == 7
    assert "visagist calibrate" in ran.err


def test_a_calibration_of_another_model(run, calibrated, drawn_people, tmp_path) -> None:
    a = drawn_people / "person 02" / "0.jpg"
    other = write_model(tmp_path / "other", seed=6)
    ran = run("verify", a, a, "--model", other, "--calibration", calibrated[0])
    assert ran.code == 7
    assert "scores of two models" in ran.err


def test_several_faces_are_listed_with_the_option_that_picks(verify, tmp_path) -> None:
    two = np.concatenate([person(1), person(2)], axis=1)
    Photo.from_array(two).save("two.png")
    Photo.from_array(person(2, 1)).save("one.png")
    ran = verify("one.png", "two.png", "--far", "0.06")
    assert ran.code == 4
    assert "two.png: the photo shows 2 faces" in ran.err and "--pick-b N" in ran.err
    codes = {verify("one.png", "two.png", "--pick-b", n, "--far", "0.06").code for n in "01"}
    assert codes == {0, DIFFERENT}
    assert verify("one.png", "two.png", "--pick-b", "2").code == 4


def test_a_poor_picture_is_refused_with_its_reason(verify, drawn_people) -> None:
    good = drawn_people / "person 02" / "0.jpg"
    Photo.from_array(np.full((90, 90, 3), 120, np.uint8)).save("nobody.png")
    assert verify(good, "nobody.png").code == 4
    cut = np.ascontiguousarray(Photo.open(good).pixels[:, 80:])
    Photo.from_array(cut).save("cut.png")
    ran = verify("cut.png", good, "--json")
    assert ran.code == 4
    assert json.loads(ran.out)["error"]["type"] == "PoorPictureError"
    assert "cut.png: " in ran.err and "lies outside the picture" in ran.err
    assert verify("cut.png", good, "--no-gate", "--far", "0.06").code in {0, DIFFERENT}


def test_a_broken_file(verify, drawn_people) -> None:
    ran = verify(drawn_people / "person 01" / "broken.jpg", drawn_people / "person 01" / "0.jpg")
    assert ran.code == 3
    assert ran.err.count("broken.jpg: ") == 1
