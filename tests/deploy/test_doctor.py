from __future__ import annotations

import os
from pathlib import Path

import pytest

from visagist.deploy import doctor
from visagist.deploy.doctor import examine
from visagist.errors import ModelMissingError
from visagist.runtime import store
from visagist.runtime.manifest import write_manifest


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS_EACH", 0.0)


def problems(*, measure: bool = False) -> str:
    return "\n".join(f"{p.what} -> {p.fix}" for p in examine(measure=measure).problems)


def test_versions_engine_and_cpu() -> None:
    report = examine(measure=False)
    assert report.packages["numpy"]
    assert "CPUExecutionProvider" in report.engine["providers"]
    assert report.cpu["usable_cores"] >= 1
    assert report.cpu["features"]
    assert report.speed == {}


def test_a_missing_model_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "bundled_models", lambda: tmp_path)
    told = problems()
    assert "the model face-mesh is missing -> pip install" in told
    assert "the model makeup-tiny is missing" in told


def test_a_damaged_model_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    write_manifest(folder, name="mine", version="1", licence="MIT", created_by="a test")
    (folder / "config.json").write_text("{} ")
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path))
    report = examine(measure=False)
    (entry,) = [model for model in report.models if model["name"] == "mine"]
    assert not entry["whole"]
    assert any("config.json" in p.what and str(folder) in p.fix for p in report.problems)


def test_a_home_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "nowhere"))
    assert "which is no folder -> make it, or unset it" in problems()


def test_a_detector_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModelMissingError("weights are gone")

    monkeypatch.setattr(doctor, "default_detector", broken)
    report = examine()
    assert report.detector is None
    assert any("weights are gone" in p.what for p in report.problems)
    assert not any("detection" in what for what in report.speed)


def test_speed_is_measured() -> None:
    report = examine()
    assert {"face detection, 640x480", "decoding a 12-megapixel JPEG"} <= set(report.speed)
    assert all(ms > 0 for ms in report.speed.values())


@pytest.mark.skipif(not hasattr(os, "getloadavg"), reason="this system tells no load")
@pytest.mark.parametrize(("load", "notes"), [(0.0, 0), (1e6, 1)])
def test_a_busy_machine_is_noted(load: float, notes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    assert len(examine().notes) == notes
