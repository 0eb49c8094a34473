from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.recognition.made_people import person, write_model
from visagist.deploy import benchmark_recognition as module
from visagist.errors import NoFaceError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "drawn")


def test_the_network_and_every_step_are_timed(folder):
    report = module.benchmark_recognition(model=str(folder), photo=person(0), runs=5)
    assert report["floor_ms"] > 0
    assert report["embed_ms"] == report["table"]["network"]["median_ms"]
    assert report["template_ms"] > report["table"]["embed"]["min_ms"]
    assert {"decode", "detect", "mesh", "quality", "align", "embed"} <= set(report["table"])
    assert report["megabytes"] == pytest.approx(0.027, abs=0.01)


def test_a_photo_without_a_face(folder):
    with pytest.raises(NoFaceError):
        module.benchmark_recognition(
            model=str(folder), photo=np.full((64, 64, 3), 90, np.uint8), runs=5
        )


def test_the_size_of_the_gallery_names_its_fields(monkeypatch):
    pytest.importorskip("cryptography")
    found = {
        "search_p50_ms": 1.0,
        "floor_p50_ms": 0.5,
        "ceiling_p50_ms": 9.0,
        "megabytes": 80.0,
        "enroll_per_s": 10.0,
        "enroll_many_per_s": 100.0,
    }
    monkeypatch.setattr("visagist.gallery.benchmark.benchmark_gallery", lambda people, **_: found)
    report = module.benchmark_search(100_000, progress=lambda done, total: None)
    assert report["search_100k_p50_ms"] == 1.0
    assert report["search_100k_megabytes"] == 80.0
    assert report["enroll_per_s"] == 10.0
    assert "search_250_p50_ms" in module.benchmark_search(250, progress=lambda done, total: None)
