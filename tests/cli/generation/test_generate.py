from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.generation.made_generator import write_generator
from visagist.generation.inference import Generator
from visagist.photo import Photo
from visagist.provenance.claims import GENERATED
from visagist.runtime.manifest import write_manifest


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder with models for one step, for many, with classes, and of an amplifier."""
    root = tmp_path_factory.mktemp("home")
    models = root / "models"
    write_generator(models, "consistency", "tiny")
    write_generator(models, "diffusion", "tiny-diffusion")
    labels = np.arange(64) % 2
    write_generator(models, "diffusion", "classes", labels=labels, network={"classes": 2})
    amplifier = write_generator(models, "diffusion", "amplifier", network={"source": True})
    config = json.loads((amplifier / "config.json").read_text()) | {"hints": 2}
    (amplifier / "config.json").write_text(json.dumps(config))
    write_manifest(amplifier, name="amplifier", version="1", licence="x", created_by="x")
    return root


@pytest.fixture(autouse=True)
def inside(home, tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def pixels(folder: str, seed: int, numbers: range) -> np.ndarray:
    return np.stack([Photo.open(f"{folder}/{seed}-{n:05d}.png").pixels for n in numbers])


def test_a_grid_and_single_files(run):
    ran = run("generate", "-n", "5", "--seed", "7", "--model", "tiny", "-o", "made", "--json")
    assert ran.code == 0, ran.err
    assert sorted(p.name for p in Path("made").iterdir()) == [
        *(f"7-{n:05d}.png" for n in range(5)), "7-grid.png",
    ]  # fmt: skip
    told = ran.json
    assert told["steps"] == 32  # the better pictures, where there is a model for them
    assert told["seed"] == 7
    assert told["model_id"].startswith("generator-16-diffusion-0.0.1-")
    assert told["pictures"] == [f"made/7-{n:05d}.png" for n in range(5)]
    assert Photo.open(told["grid"]).width > 3 * 128


def test_what_is_made_is_kept_when_it_stops_and_first_goes_on(run, monkeypatch):
    whole = Generator.generate

    def stops(self, count, **more):
        if more["first"] >= 4:
            raise KeyboardInterrupt
        return whole(self, count, **more)

    monkeypatch.setattr(Generator, "generate", stops)
    arguments = ("generate", "-n", "6", "--batch", "2", "--model", "tiny", "-o", "made")
    assert run(*arguments).code == 130
    assert sorted(p.name for p in Path("made").iterdir()) == [f"0-{n:05d}.png" for n in range(4)]
    monkeypatch.setattr(Generator, "generate", whole)
    ran = run(*arguments)
    assert "--first" in ran.err
    assert run("generate", "-n", "2", "--first", "4", "--model", "tiny", "-o", "made").code == 0


def test_same_seed_same_picture(run):
    run("generate", "-n", "6", "--model", "tiny", "-o", "all")
    run("generate", "-n", "2", "--first", "3", "--model", "tiny", "-o", "two", "--batch", "1")
    few, many = pixels("two", 0, range(3, 5)), pixels("all", 0, range(3, 5))
    assert np.abs(few.astype(int) - many).max() <= 1
    run("generate", "-n", "2", "--first", "3", "--seed", "1", "--model", "tiny", "-o", "two")
    assert np.abs(pixels("two", 1, range(3, 5)).astype(int) - many).max() > 1


@pytest.mark.parametrize(
    ("model", "steps", "taken"),
    [
        ("tiny", "2", "generator-16-0.0.1"),
        ("tiny", "8", "generator-16-diffusion-0.0.1"),
        ("tiny-diffusion", "2", "generator-16-diffusion-0.0.1"),
        ("classes", "8", "generator-16-diffusion-0.0.1"),
    ],
)
def test_steps_choose_the_model(run, model, steps, taken):
    ran = run("generate", "-n", "1", "--steps", steps, "--model", model, "-o", "x", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["model_id"].startswith(taken)
    assert ran.json["steps"] == int(steps)


def test_a_folder_is_taken_as_it_is(run, home):
    ran = run("generate", "-n", "1", "--steps", "8", "--model", home / "models/tiny", "-o", "x")
    assert "generator-16-0.0.1" in ran.out


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_every_file_says_that_it_was_generated(run, kind):
    run("generate", "-n", "2", "--steps", "1", "--format", kind, "--model", "tiny", "-o", "made")
    files = list(Path("made").iterdir())
    assert len(files) == 3
    for path in files:
        packet = Photo.open(path).xmp
        assert GENERATED.encode() in packet
        assert b"generator-16-0.0.1" in packet
        assert b"seed 0, 1 step" in packet


def test_classes_and_guidance(run):
    run("generate", "-n", "2", "--steps", "4", "--model", "classes", "-o", "any")
    seen = {"any": pixels("any", 0, range(2))}
    for label in ("0", "1"):
        given = ["--label", label, "--guidance", "3"]
        run("generate", "-n", "2", "--steps", "4", "--model", "classes", *given, "-o", label)
        seen[label] = pixels(label, 0, range(2))
    assert (seen["0"] != seen["1"]).any()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "nobody"], 6, "no model"),
        (["--model", "tiny", "--label", "0"], 2, "no class 0"),
        (["--model", "classes", "--label", "2", "--steps", "4"], 2, "no class 2"),
        (["--model", "tiny", "--guidance", "2"], 2, "--label"),
        (["--model", "tiny", "--format", "txt"], 3, "txt"),
        (["--model", "tiny-diffusion", "--steps", "1"], 2, "2 to 1000 steps"),
        (["--model", "amplifier"], 2, "hints"),
    ],
)
def test_what_cannot_be_is_refused(run, arguments, code, words):
    ran = run("generate", "-n", "1", "-o", "made", *arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert not Path("made").exists()


def test_pictures_are_not_replaced_unless_asked(run):
    run("generate", "-n", "2", "--model", "tiny", "-o", "made")
    Image.new("RGB", (4, 4)).save("made/0-00001.png")
    ran = run("generate", "-n", "2", "--model", "tiny", "-o", "made")
    assert ran.code == 3
    assert "--overwrite" in ran.err
    assert Photo.open("made/0-00001.png").width == 4
    assert run("generate", "-n", "2", "--model", "tiny", "-o", "made", "--overwrite").code == 0
    assert Photo.open("made/0-00001.png").width == 16
    Path("file").write_text("x")
    assert run("generate", "-n", "1", "--model", "tiny", "-o", "file").code == 3


def test_what_cannot_be_written_is_refused_before_the_work(run, home, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "visagist.generation.inference.Generator.generate", lambda *a, **k: pytest.fail("worked")
    )
    Path("file").write_text("x")
    ran = run("generate", "-n", "1", "--model", "tiny", "-o", "file/made")
    assert ran.code == 3
    assert "file is a file" in ran.err
    own = tmp_path / "home"
    (own / "provenance").mkdir(parents=True)
    (own / "provenance" / "credential.pem").write_text("no key")
    monkeypatch.setenv("VISAGIST_HOME", str(own))
    ran = run("generate", "-n", "1", "--model", str(home / "models" / "tiny"), "-o", "made")
    assert ran.code != 0
    assert "credential.pem" in ran.err
    assert not Path("made").exists()
