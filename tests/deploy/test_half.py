from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from tests.generation.made_generator import CPU, write_run_of
from visagist.deploy.export import export_generator, parity, to_onnx
from visagist.deploy.half import SMALLEST, round_weights, store_half
from visagist.errors import DataError
from visagist.generation.inference import Generator
from visagist.generation.training import load_generator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run_of(tmp_path_factory.mktemp("half") / "run", "diffusion", steps=6)


def test_stored_in_half_and_computed_in_single():
    torch.manual_seed(0)
    model = round_weights(torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 8)))
    assert torch.equal(model[0].weight, model[0].weight.half().float())
    x = torch.randn(3, 64)
    whole = to_onnx(model, [x], ["x"], ["y"])
    small = store_half(whole)
    assert len(small) < 0.65 * len(whole)
    kinds = {t.name: t.data_type for t in onnx.load_from_string(small).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds.values()
    assert onnx.TensorProto.FLOAT in kinds.values()  # biases are too small to matter
    assert parity(small, model, {"x": x}) < 1e-6


def test_a_folder_in_half_makes_the_same_pictures_within_rounding(run, tmp_path):
    report = export_generator(run, tmp_path / "half", version="1", half=True)
    export_generator(run, tmp_path / "whole", version="1")
    assert set(report["files"]) == {"model.onnx"}
    assert report["files"]["model.onnx"]["parity"] < 1e-4
    names = {path.name for path in (tmp_path / "half").iterdir()}
    assert names == {"model.onnx", "config.json", "recipe.json", "log.jsonl", "manifest.json"}
    sizes = [(tmp_path / n / "model.onnx").stat().st_size for n in ("half", "whole")]
    assert sizes[0] < 0.75 * sizes[1]  # a small network is half graph
    one, other = (
        Generator.from_pretrained(tmp_path / n).generate(4, steps=8).astype(int)
        for n in ("half", "whole")
    )
    assert np.abs(one - other).max() <= 1


def test_weights_in_half_are_trained_on(run, tmp_path):
    """From ``model.onnx``, whose constants have the parameters' names."""
    export_generator(run, tmp_path / "model", version="1", half=True)
    _, network = load_generator(tmp_path / "model")  # a model folder is a finished run as well
    _, trained = load_generator(run)
    for ours, theirs in zip(network.parameters(), trained.parameters(), strict=True):
        assert ours.dtype == torch.float32
        wanted = theirs.half().float() if theirs.numel() >= SMALLEST else theirs
        assert torch.equal(ours, wanted)


def test_a_run_that_is_not_finished_gives_its_newest_average(run, tmp_path):
    """Only checkpoints are left of a run that was stopped; the recipe is given beside."""
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (run / "checkpoints").rename(stopped / "checkpoints")
    try:
        with pytest.raises(DataError):
            load_generator(stopped)
        # JSON is YAML
        settings, network = load_generator(stopped, recipe=run / "recipe.json")
    finally:
        (stopped / "checkpoints").rename(run / "checkpoints")
    _, finished = load_generator(run)
    assert settings.stage == "diffusion"
    for ours, theirs in zip(network.parameters(), finished.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(DataError, match="no checkpoint"):
        load_generator(tmp_path / "nothing", recipe=run / "recipe.json")
    assert next(network.parameters()).device == CPU
