"""Drawn people in files, and a model that tells them apart."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.recognition.made_people import person, write_model
from visagist.cli import main
from visagist.photo import Photo

PEOPLE = 11


@pytest.fixture(scope="session")
def drawn_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "drawn")


@pytest.fixture(scope="session")
def drawn_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of eleven people; the first two have two pictures."""
    root = tmp_path_factory.mktemp("people")
    for number in range(PEOPLE):
        folder = root / f"person {number:02d}"
        folder.mkdir()
        for shot in range(2 if number < 2 else 1):
            Photo.from_array(person(number, shot)).save(folder / f"{shot}.jpg")
    (root / "person 01" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return root


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("VISAGIST_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture(scope="session")
def calibrated(drawn_people: Path, drawn_model: Path, tmp_path_factory) -> tuple[Path, str]:
    """A calibration of the drawn people, and what the command printed."""
    path = tmp_path_factory.mktemp("calibration") / "drawn.json"
    told = io.StringIO()
    arguments = ["calibrate", drawn_people, "--model", drawn_model, "-o", path, "--far", "0.06"]
    with redirect_stdout(told), pytest.raises(SystemExit) as ended:
        main([str(a) for a in [*arguments, "--fpir", "0.3", "--gallery-size", "7", "--json"]])
    assert not ended.value.code
    return path, told.getvalue()
