"""The installed program and the three lines of Python, on a drawn face and with the real models."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visagist import Makeup, Photo
from visagist.makeup.preview import drawn_face
from visagist.runtime.store import bundled_models

COMMAND = [sys.executable, "-m", "visagist"]
STYLES = ("rosewood", "classic")


def visagist(*arguments: str | Path, code: int = 0, **environment: str) -> Any:
    """Run the program; its JSON with ``--json``, else what it printed."""
    ran = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=240,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    if "--json" in arguments:
        return json.loads(ran.stdout)
    return ran.stdout + ran.stderr


def canvas(shift: int = 0) -> np.ndarray:
    """The drawn face, 360 pixels high, in a picture of (480, 640, 3)."""
    face, _ = drawn_face()
    picture = np.empty((480, 640, 3), np.uint8)
    picture[:] = face[0, 0]
    left = 140 + shift
    small = Image.fromarray(face).resize((360, 360), Image.Resampling.LANCZOS)
    picture[60:420, left : left + 360] = np.asarray(small)
    return picture


@pytest.fixture(scope="module")
def engine() -> Makeup:
    return Makeup.from_pretrained()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Photo.from_array(canvas()).save(path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Five faces, a file that is no photo, and a wall."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(5):
        Photo.from_array(canvas(10 * number)).save(folder / f"face{number}.jpg")
    (folder / "notes.jpg").write_text("not a photo")
    Photo.from_array(np.full((300, 300, 3), 128, np.uint8)).save(folder / "wall.png")
    return folder


def test_one_photo(photo: Path) -> None:
    told = visagist("makeup", photo, "--style", "classic", "--json")
    (result,) = told["results"]
    assert result["faces"] == 1
    assert Path(result["output"]) == photo.with_name("face-classic.png")
    before, after = Photo.open(photo).pixels, Photo.open(result["output"]).pixels
    changed = (before != after).any(-1)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert rows.min() > 60  # only the face changes, to the bit
    assert rows.max() < 420
    assert columns.min() > 140
    assert columns.max() < 500


def test_regions_and_intensity(engine: Makeup) -> None:
    photo = Photo.from_array(canvas())

    def change(**options: float) -> float:
        made = engine.apply(photo, style="classic", **options).photo.pixels
        return float(np.abs(made.astype(int) - photo.pixels).sum())

    full = change()
    assert change(intensity=0) == 0
    assert 0.3 < change(intensity=0.5) / full < 0.7
    assert 0 < change(eyes=0, skin=0) < full


def test_mix(run, photo: Path, tmp_path: Path) -> None:
    out = []
    for mix in ("classic:1,rosewood:0", "classic:0.5,rosewood:0.5", "classic:0,rosewood:1"):
        path = tmp_path / f"{len(out)}.png"
        assert run("makeup", photo, "--mix", mix, "-o", path).code == 0
        out.append(Photo.open(path).pixels.astype(int))
    first, middle, last = out
    assert np.abs(first - last).mean() > np.abs(first - middle).mean() > 0


def test_an_album_and_again(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = visagist("makeup", album, "-o", out, "--json", code=1)
    assert [told[k] for k in ("done", "skipped", "no_face", "failed")] == [5, 0, 1, 1]
    assert sorted(p.name for p in out.iterdir()) == [f"face{n}.jpg" for n in range(5)]
    told = visagist("makeup", album, "-o", out, "--json", code=1)
    assert [told[k] for k in ("done", "skipped")] == [0, 5]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_stopped_at_any_moment_it_goes_on(album: Path, tmp_path: Path, kill: int) -> None:
    out = tmp_path / "out"
    arguments = [*COMMAND, "makeup", str(album), "-o", str(out)]
    running = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (out / "face0.jpg").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(kill)
    _, err = running.communicate(timeout=240)
    assert "Traceback" not in err
    if kill == signal.SIGINT and running.returncode != 1:  # 1: it was done before the signal
        assert running.returncode == 130
        assert "the same command goes on from here" in err
        assert not list(out.glob(".*"))
    for path in out.glob("*.jpg"):
        Photo.open(path)
    visagist("makeup", album, "-o", out, code=1)
    assert sorted(p.name for p in out.glob("*.jpg")) == [f"face{n}.jpg" for n in range(5)]


def test_faces_and_errors(run, photo: Path, album: Path, tmp_path: Path) -> None:
    def error(*arguments: str | Path, code: int) -> str:
        ran = run("makeup", *arguments, "--json")
        assert ran.code == code
        told = ran.json["error"]
        return f"{told['type']}: {told['message']}"

    assert "FaceChoiceError" in error(photo, "--faces", "3", code=4)
    assert "NoFaceError" in error(album / "wall.png", code=4)
    assert "PhotoFormatError" in error(album / "notes.jpg", code=3)
    assert "rosewood" in error(photo, "--style", "rosewod", code=2)
    assert "PhotoWriteError" in error(photo, "-o", photo / "below" / "out.png", code=3)
    (tmp_path / "empty").mkdir()
    assert "no photo in" in error(tmp_path / "empty", code=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["album", "empty", "face.png"]


def test_a_damaged_model_is_refused(photo: Path, tmp_path: Path) -> None:
    model = tmp_path / "models" / "mine"
    shutil.copytree(bundled_models() / "makeup-tiny", model)
    data = bytearray((model / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (model / "model.onnx").write_bytes(data)
    told = visagist("makeup", photo, "--model", model, "--json", code=6)
    assert told["error"]["type"] == "ModelDamagedError"
    told = visagist("doctor", "--json", code=1, VISAGIST_HOME=str(tmp_path))
    assert any("model.onnx was altered" in problem["what"] for problem in told["problems"])
    assert not photo.with_name("face-rosewood.png").exists()


def test_doctor_finds_nothing_to_mend(tmp_path: Path) -> None:
    told = visagist("doctor", "--json", VISAGIST_HOME=str(tmp_path))
    assert told["problems"] == []
    assert {"face-mesh", "makeup-tiny"} <= {model["name"] for model in told["models"]}
    assert told["speed"]["makeup-tiny network"] > 0


def test_demo(run, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    told = visagist("demo", "--photo", photo, "-o", out, "--styles", ",".join(STYLES), "--json")
    assert Photo.open(told["sheet"]).width > 640
    for path in told["results"]:
        assert (Photo.open(path).width, Photo.open(path).height) == (640, 480)
    again = ("demo", "--photo", photo, "-o", out, "--styles", "rosewood")
    ran = run(*again)
    assert ran.code == 3
    assert "exists" in ran.err
    assert run(*again, "--overwrite").code == 0


def test_styles_on_a_photo(run, photo: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert run("styles", "classic", "--preview", sheet, "--photo", photo).code == 0
    assert Photo.open(sheet).width > 500


def test_three_lines_of_python_and_no_network(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something opened a network connection")

    monkeypatch.setattr(socket, "socket", refuse)
    result = Makeup.from_pretrained().apply(Photo.open(photo), style="rosewood", intensity=0.8)
    result.photo.save(tmp_path / "out.png")
    assert len(result.faces) == 1
    assert Photo.open(tmp_path / "out.png").width == 640
