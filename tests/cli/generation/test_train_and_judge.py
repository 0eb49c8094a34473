"""The three trainings, exports and the judge through the program, on drawn discs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.generation.made_generator import write_generator
from tests.generation.pictures import class_folders, discs, recipe
from visagist.deploy import judge_generation
from visagist.generation.data import StoredPictures

CLASSES = {"network": {"classes": 2}}


def write(path: Path, settings) -> Path:
    path.write_text(json.dumps(settings.model_dump()))  # JSON is YAML
    return path


def test_one_verb_for_the_three_stages(run, tmp_path, monkeypatch):
    """Stage 1, a one-step model from its encoder, both exports, a picture."""
    monkeypatch.chdir(tmp_path)
    data = class_folders(tmp_path / "data")
    first = write(Path("first.yaml"), recipe("pretrain", **CLASSES))
    ran = run("train", "generator", first, "--data", data, "-o", "stage-1")
    assert ran.code == 0, ran.err
    assert ran.out == "stage-1\n"
    assert "step 4" in ran.err
    second = write(Path("second.yaml"), recipe("consistency", **CLASSES))
    given = ("train", "generator", second, "--data", data)
    ran = run(*given, "-o", "none")
    assert ran.code == 2
    assert "stage-1 run" in ran.err  # the auxiliary loss has no encoder
    ran = run(*given, "-o", "one", "--start", "stage-1", "--cache", "unused")
    assert ran.code == 0, ran.err
    assert "auxiliary" in ran.err
    assert run(*given, "-o", "one", "--start", "stage-1").code == 2  # there is a run already
    ran = run(*given, "-o", "one", "--start", "stage-1", "--resume")
    assert ran.code == 0, ran.err
    ran = run("export", "generator", "one", "-o", "model", "--half", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json["files"]) == {"model.onnx"}
    assert run("export", "generator", "stage-1", "-o", "no").code == 3
    ran = run("export", "generator", "one", "-o", "other", "--average", "0.1")
    assert ran.code == 3  # the recipe stores no averages
    assert "average_every" in ran.err
    assert run("export", "generator", "one", "-o", "other", "--average", "0.5").code == 2
    ran = run("generate", "-n", "1", "--label", "1", "--model", "./model", "-o", "made")
    assert ran.code == 0, ran.err


def test_a_recipe_that_does_not_fit_the_data(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = class_folders(tmp_path / "data")
    bad = recipe("diffusion", **CLASSES).model_dump()
    bad["network"]["patch"] = 5
    Path("bad.yaml").write_text(json.dumps(bad))
    ran = run("train", "generator", "bad.yaml", "--data", data, "-o", "x")
    assert ran.code == 2
    assert "does not divide" in ran.err
    few = write(Path("few.yaml"), recipe("diffusion", network={"classes": 1}))
    ran = run("train", "generator", few, "--data", data, "-o", "x")
    assert ran.code == 2
    assert "2 classes" in ran.err


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Both models, and discs in place of corpora, of EfficientNet and of the recogniser."""

    def corpora(paths, config, *, split, device, **_):
        pictures = discs(200 if split == "train" else 60, 16, seed=len(split))
        return StoredPictures(pictures, device)

    def embedder(path):
        matrix = np.random.default_rng(0).standard_normal((6, 16 * 16 * 3)) / 1000
        return lambda pictures: pictures.reshape(len(pictures), -1) @ matrix.T

    class Known:
        @classmethod
        def from_pretrained(cls):
            return cls()

        def embed_view(self, view):
            assert view.shape == (112, 112, 3)
            return view[::28, ::28].reshape(-1)[:12].astype(np.float32)

    monkeypatch.setattr(judge_generation, "corpus_pictures", corpora)
    monkeypatch.setattr(judge_generation, "efficientnet_embedder", embedder)
    monkeypatch.setattr(judge_generation, "Recognizer", Known)
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_generator(tmp_path / "models", "consistency", "tiny")
    write_generator(tmp_path / "models", "diffusion", "tiny-diffusion")


def test_the_report_has_the_named_fields(run, judged):
    ran = run(
        "evaluate", "generation", "--data", "corpus", "--model", "tiny", "-n", "24",
        "--resamples", "3", "--nearest", "near.png", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    report = ran.json
    for name in ("1", "2", "8", "32", "floor", "ruined"):
        assert isinstance(report[f"fd_{name}"], float)
        assert isinstance(report[f"kid_{name}"], float)
    assert {"precision", "recall", "params", "memorised"} <= set(report)
    assert set(report["table"]) == {"efficientnet-lite0", "recognizer"}
    assert len(report["table"]["recognizer"]["8"]["kid_interval"]) == 2
    assert report["models"]["1"] == report["models"]["2"] != report["models"]["8"]
    assert report["training_pictures"] == 200
    assert "share_by_face" in report["memorisation"]["1"]
    assert Path("near.png").is_file()
    assert not any("fid" in name for name in report)


def test_only_some_steps(run, judged):
    given = ("evaluate", "generation", "--data", "c", "-n", "16", "--resamples", "0", "--json")
    report = run(*given, "--model", "tiny-diffusion", "--steps", "1", "--steps", "4").json
    assert "fd_1" not in report  # a diffusion model has no single step
    assert "fd_4" in report
    ran = run(*given, "--model", "tiny-diffusion", "--steps", "1")
    assert ran.code == 3
    assert "in none of" in ran.err
    ran = run(*given, "--model", "tiny", "--steps", "1", "-n", "150")
    assert ran.code == 3
    assert "16 to 100 can" in ran.err


def test_the_recogniser_sees_the_part_of_a_picture_that_it_knows():
    """At a zoom of 1.5 the view is .805 / 1.5 of the side, around the face's middle."""

    class Corners:
        def embed_view(self, view):
            return view[[4, 4, -5, -5], [4, -5, 4, -5], :2].reshape(-1).astype(np.float32)

    side, zoom = 300, 1.5
    y, x = np.mgrid[:side, :side] + 0.5
    picture = np.stack([x / side * 255, y / side * 255, 0 * x], -1).astype(np.uint8)
    found = judge_generation.face_embedder(Corners(), zoom)(picture[None])[0].reshape(2, 2, 2)
    half, pixel = 0.805 / zoom / 2, 0.805 / zoom / 112
    for row in (0, 1):
        for column in (0, 1):
            sx, sy = (1 if column else -1), (1 if row else -1)
            wanted = (
                0.5 + sx * (half - 4.5 * pixel),
                0.5 + 0.0555 / zoom + sy * (half - 4.5 * pixel),
            )
            assert found[row, column] / 255 == pytest.approx(wanted, abs=0.006)
