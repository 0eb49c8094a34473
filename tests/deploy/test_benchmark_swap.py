from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.face.drawn import drawn_face
from tests.swap.small_model import write_swap_model
from visagist.deploy import benchmark_swap as module
from visagist.deploy.judge_swap import evaluate_swap, labelled_models
from visagist.errors import InputError, ModelMissingError, NoFaceError
from visagist.swap.config import NetworkConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_swap_model(tmp_path_factory.mktemp("models") / "m", params=7, gmac=0.1)


@pytest.fixture(autouse=True)
def small_paper(monkeypatch) -> None:
    small = NetworkConfig(kind="paper", embedding=512, width=16, image_size=64)
    monkeypatch.setattr(module, "PUBLISHED", small)


def test_networks_are_timed_in_one_run(folder):
    report = module.benchmark_swap(model=str(folder), live=str(folder), photo=drawn_face(), runs=5)
    table = report["table"]
    assert report["network_ms"] == table["network"]["median_ms"] > 0
    assert report["paper_layout_ms"] == table["paper's layout"]["median_ms"]
    assert report["live_ms"] == table["live network"]["median_ms"]
    assert report["speedup"] == pytest.approx(
        report["paper_layout_ms"] / report["network_ms"], abs=0.01
    )
    assert report["best_ms"] <= report["network_ms"]
    assert report["live_best_ms"] <= report["live_ms"]
    assert report["best_engine"] in table
    assert report["swap_ms"] > report["network_ms"]
    assert (report["params"], report["gmac"]) == (7, 0.1)
    assert report["paper"]["params"] > 100_000


def test_without_a_second_network_there_is_no_figure_for_it(folder):
    report = module.benchmark_swap(model=str(folder), photo=drawn_face(), runs=5)
    assert report["live_ms"] is None and report["live_best_ms"] is None
    with pytest.raises(NoFaceError):
        wall = np.full((64, 64, 3), 90, np.uint8)
        module.benchmark_swap(model=str(folder), photo=wall, runs=5)


def test_models_are_named_as_people_write_them():
    assert labelled_models(["ours=swap", "models/live"]) == {"ours": "swap", "live": "models/live"}
    for bad in (["=swap"], ["a="], ["a=x", "a=y"]):
        with pytest.raises(InputError, match="--model"):
            labelled_models(bad)


def test_without_a_judge_nothing_is_measured(tmp_path):
    with pytest.raises(ModelMissingError, match="--judge"):
        evaluate_swap(tmp_path)
