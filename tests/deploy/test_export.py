from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from tests.makeup.model_folder import STYLES, write_makeup_model, write_makeup_run
from visagist.deploy import export
from visagist.deploy.benchmark import benchmark
from visagist.deploy.export import export_makeup, export_mesh
from visagist.deploy.timing import in_turns, summary
from visagist.errors import DataError, ModelDamagedError, ParityError
from visagist.face.mesh.config import MeshNetworkConfig
from visagist.face.mesh.network import MeshNetwork
from visagist.face.mesh.training import MeshRecipe
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.runtime.session import make_session
from visagist.runtime.store import open_model
from visagist.training.run import read_run, write_run

FILES = {
    "model.onnx", "model-fp16.onnx", "model.safetensors", "config.json", "log.jsonl",
    "recipe.json", "manifest.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_makeup_model(tmp_path_factory.mktemp("export"))


def test_a_makeup_run_becomes_a_whole_model_folder(model):
    assert {p.name for p in model.iterdir()} == FILES
    files = open_model(model)
    assert files.manifest.name == "makeup-tiny"
    assert files.config["styles"] == list(STYLES)
    assert files.config["params"] > 0
    assert 0 < files.config["gflops"] < 0.69
    assert [p.name for p in model.parent.iterdir() if p.name.startswith(".")] == []


@torch.no_grad()
@pytest.mark.parametrize(("file", "limit"), [("model.onnx", 1e-4), ("model-fp16.onnx", 2e-2)])
def test_onnx_computes_what_the_trained_weights_do(model, file, limit):
    """The network is rebuilt from the folder's own recipe and weights, not from the exporter."""
    network = MakeupNetwork(read_run(model, MakeupRecipe)[0].network)
    network.load_state_dict(load_file(model / "model.safetensors"))
    image = torch.rand((1, 3, 256, 256), generator=torch.Generator().manual_seed(11)) * 2 - 1
    code = torch.tensor([[0.0, 1.0, 0.0]])
    wanted = network.eval()(image, code).numpy()
    session = make_session((model / file).read_bytes())
    got = session.run(None, {"image": image.numpy(), "style": code.numpy()})[0]
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < limit


def test_half_precision_is_half_the_size_and_needs_no_new_opset(model):
    full, half = ((model / f).stat().st_size for f in ("model.onnx", "model-fp16.onnx"))
    assert half < 0.7 * full
    assert onnx.load(model / "model.onnx").opset_import[0].version == export.OPSET


def test_exporting_again_keeps_the_card(tmp_path):
    run, out = write_makeup_run(tmp_path / "run"), tmp_path / "model"
    export_makeup(run, out, version="1.2")
    (out / "card.md").write_text("# what it is for\n")
    (out / "stale.txt").write_text("goes away")
    export_makeup(run, out, version="1.3")
    files = open_model(out)
    assert files.manifest.version == "1.3"
    assert (out / "card.md").read_text() == "# what it is for\n"
    assert {p.name for p in out.iterdir()} == FILES | {"card.md"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "run"]
    data = bytearray((out / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "model.onnx").write_bytes(data)
    with pytest.raises(ModelDamagedError, match=r"model\.onnx"):
        open_model(out)


def test_a_network_that_differs_is_not_written(tmp_path, monkeypatch):
    run = write_makeup_run(tmp_path / "run")
    monkeypatch.setattr(export, "parity", lambda *_: float("nan"))
    with pytest.raises(ParityError, match="differs"):
        export_makeup(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_mesh_run(tmp_path):
    torch.manual_seed(0)
    config = MeshNetworkConfig(
        input_size=64, widths=(16, 16, 16, 16), depths=(0, 0, 1, 0), squeeze=8, hidden=16
    )
    recipe = MeshRecipe.model_validate({"network": config})
    write_run(tmp_path / "run", MeshNetwork(config), recipe)
    (tmp_path / "run" / "log.jsonl").write_text("{}\n")
    report = export_mesh(tmp_path / "run", tmp_path / "mesh")
    assert report["files"]["model.onnx"]["parity"] <= 1e-4
    stored = json.loads((tmp_path / "mesh" / "config.json").read_text())
    assert (stored["kind"], stored["params"]) == ("face-mesh", report["params"])
    session = make_session(open_model(tmp_path / "mesh").onnx)
    points, logit = session.run(None, {"image": np.zeros((1, 3, 64, 64), np.float32)})
    assert (points.shape, logit.shape) == ((1, 478, 3), (1,))
    with pytest.raises(DataError, match="not the recipe"):
        export_makeup(tmp_path / "run", tmp_path / "makeup")


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="no finished run"):
        export_makeup(tmp_path, tmp_path / "model")


def test_summary_and_turns():
    assert summary([3.0, 1.0, 2.0]) == {"median_ms": 2.0, "p95_ms": 2.9, "min_ms": 1.0}
    calls = []
    table = in_turns({n: lambda n=n: calls.append(n) for n in "ab"}, runs=3, warmup=1)
    assert calls == ["a", "b"] * 4
    assert set(table) == {"a", "b"}


def test_benchmark_has_every_field(model):
    told = benchmark(model=str(model), runs=1)
    assert told["table"].keys() >= {"network, 1 thread", "network, 2 threads"}
    for field in ("network_ms", "released_ms", "floor_ms", "speedup", "pipeline_ms"):
        assert told[field] > 0
    assert told["machine"]["cores"] >= 1
    steps = ("decode", "detect", "mesh", "align", "network", "paste", "encode", "all steps")
    assert all(f"{size}: {s}" in told["table"] for size in ("1024x1024", "12 MP") for s in steps)
