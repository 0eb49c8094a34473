from __future__ import annotations

from pathlib import Path

import pytest

from tests.makeup.test_learned import write_style
from visagist.amplify import learn as learning
from visagist.photo import Photo


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_name_that_is_taken_is_refused_first(run, home):
    ran = run("learn", "nowhere", "--name", "smoky", "--faces", "nowhere")
    assert ran.code == 2
    assert "'smoky' is taken" in ran.err
    assert not home.exists()


def test_without_faces_it_says_how_to_get_some(run, home):
    ran = run("learn", "nowhere", "--name", "mine")
    assert ran.code == 3
    assert "visagist corpus build" in ran.err


def test_without_pairs_it_says_what_a_folder_holds(run, home, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run("learn", tmp_path / "empty", "--name", "mine", "--faces", tmp_path)
    assert ran.code == 2
    assert "holds no pair" in ran.err


def test_stopped_it_says_that_it_goes_on(run, home, tmp_path, monkeypatch):
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "learn", stopped)
    ran = run("learn", tmp_path, "--name", "mine", "--faces", tmp_path)
    assert ran.code == 130
    assert "goes on from here" in ran.err


def test_restart_deletes_nothing_of_others(run, home, tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "letter.txt").write_text("x")
    ran = run(
        "learn", tmp_path, "--name", "mine", "--faces", tmp_path, "--work", tmp_path / "w",
        "--restart",
    )  # fmt: skip
    assert ran.code == 2
    assert (tmp_path / "w" / "letter.txt").exists()
    for name in ("learning", "others"):
        (home / name).mkdir(parents=True)
    ran = run("learn", tmp_path, "--name", "../others", "--faces", tmp_path, "--restart")
    assert ran.code == 2
    assert (home / "others").exists()


def test_a_learned_style_is_listed_and_worn(run, home, album, fake_engine, monkeypatch):
    model = write_style(home / "models", "mine")
    listed = run("styles")
    assert listed.out.splitlines()[-1].split()[0] == "mine"
    assert run("styles", "--json").json["learned"][0]["model"] == str(model)
    assert "mine" in run("styles", "mine").out
    assert "visagist makeup PHOTO --style mine" in run("styles", "mine", "--preview", "x.png").err
    opened = []
    plain = fake_engine.from_pretrained.__func__

    def remember(cls: type, name: object, **options: object) -> object:
        opened.append(name)
        engine = plain(cls)
        engine.styles = ("mine",)
        return engine

    monkeypatch.setattr(fake_engine, "from_pretrained", classmethod(remember))
    assert run("makeup", album / "a.png", "--style", "mine").code == 0
    assert opened == [model]
    assert (Photo.open(album / "a-mine.png").pixels[..., 0] == 255).all()
    ran = run("makeup", album / "a.png", "--mix", "mine:0.5,smoky:0.5")
    assert ran.code == 2
    assert "cannot be mixed" in ran.err
