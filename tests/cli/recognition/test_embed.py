from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.recognition.made_people import DIMENSION, person
from visagist import Recognizer
from visagist.photo import Photo


@pytest.fixture
def album() -> Path:
    folder = Path("album")
    folder.mkdir()
    Photo.from_array(person(0)).save(folder / "a.png")
    Photo.from_array(np.concatenate([person(1), person(2)], axis=1)).save(folder / "b two.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    Photo.from_array(np.full((90, 90, 3), 120, np.uint8)).save(folder / "wall.png")
    return folder


def test_a_folder_into_npz(run, album, drawn_model) -> None:
    ran = run("embed", album, "-o", "out.npz", "--model", drawn_model)
    assert ran.code == 1
    assert ran.out == "out.npz: 3 vectors, 1 photos without a face, 1 failed\n"
    assert [line.split(":")[1].strip() for line in ran.err.splitlines()] == [
        "album/broken.jpg",
        "album/wall.png",
    ]
    with np.load("out.npz") as found:
        assert found["vectors"].shape == (3, DIMENSION)
        assert found["vectors"].dtype == np.float32
        assert found["photo"].tolist() == ["album/a.png", "album/b two.png", "album/b two.png"]
        assert found["face"].tolist() == [0, 0, 1]
        assert found["box"].shape == (3, 4)
        recognizer = Recognizer.from_pretrained(drawn_model)
        assert str(found["model_id"]) == recognizer.model_id
        assert (found["vectors"][0] == recognizer.template(person(0)).vector).all()
        assert found["sharpness"].shape == (3,)


def test_jsonl_holds_the_same_vectors(run, album, drawn_model) -> None:
    for name in ("out.npz", "out.jsonl"):
        run("embed", album, "-o", name, "--model", drawn_model)
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    with np.load("out.npz") as found:
        vectors = np.array([line["vector"] for line in lines], np.float32)
        assert vectors == pytest.approx(found["vectors"], abs=1e-6)
    assert {"photo", "face", "box", "model_id", "covered"} <= set(lines[0])


def test_json_report(run, album, drawn_model) -> None:
    ran = run(
        "embed", album, "-o", "out.npz", "--faces", "largest", "--model", drawn_model, "--json"
    )
    report = ran.json
    counts = {k: report[k] for k in ("done", "no_face", "poor", "failed")}
    assert counts == {"done": 2, "no_face": 1, "poor": 0, "failed": 1}
    assert report["dimension"] == DIMENSION
    assert report["results"][2]["error"]["type"]


def test_poor_pictures_are_left_out_unless_wanted(run, drawn_model) -> None:
    Photo.from_array(person(0)).save("good.png")
    Photo.from_array(np.ascontiguousarray(person(0)[:, 92:])).save("cut.png")
    given = ("embed", "good.png", "cut.png", "-o", "out.npz", "--model", drawn_model, "--json")
    ran = run(*given)
    assert ran.code == 0
    assert [r["status"] for r in ran.json["results"]] == ["done", "poor"]
    assert ran.json["results"][1]["error"]["type"] == "PoorPictureError"
    assert run(*given, "--no-gate", "--overwrite").json["done"] == 2


def test_nothing_to_write(run, album, drawn_model) -> None:
    ran = run("embed", album / "wall.png", "-o", "out.npz", "--model", drawn_model)
    assert ran.code == 2
    assert not Path("out.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["album", "-o", "out.txt"], 2, ".npz or .jsonl"),
        (["album", "-o", "there.npz"], 3, "exists"),
        (["nowhere", "-o", "out.npz"], 2, "no file or folder"),
        (["album", "-o", "out.npz", "--faces", "best"], 2, "all, largest or a number"),
        (["album/a.png", "-o", "missing/out.npz"], 3, "missing"),
    ],
)
def test_bad_arguments(run, album, drawn_model, arguments, code, words) -> None:
    Path("there.npz").write_bytes(b"mine")
    ran = run("embed", *arguments, "--model", drawn_model)
    assert ran.code == code
    assert words in ran.err
    assert Path("there.npz").read_bytes() == b"mine"
