from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from tests.swap.small import PAPER, Squares, config, encoder, recipe
from tests.swap.test_network import shaken
from visagist.deploy import export_swap as module
from visagist.deploy.export_swap import export_swap, fold_before
from visagist.errors import ConfigError, DataError
from visagist.runtime.session import make_session
from visagist.runtime.store import open_model
from visagist.swap.config import NetworkConfig
from visagist.training.run import write_run


@pytest.mark.parametrize(
    "network",
    [config(), config(guide=True), config(mask=False), NetworkConfig.model_validate(PAPER)],
)
def test_a_run_becomes_a_folder_that_computes_the_same(tmp_path, network):
    model = shaken(network).eval()
    run, folder = tmp_path / "run", tmp_path / "swap"
    write_run(run, model, recipe(network=network))
    (run / "log.jsonl").write_text("{}\n")
    report = export_swap(run, folder)
    files = open_model(folder)
    assert files.config["kind"] == "swap"
    assert files.config["params"] == sum(p.numel() for p in model.parameters())
    assert files.config["gmac"] == report["gmac"] > 0
    assert report["megabytes"] == pytest.approx(
        sum(report["files"][name]["bytes"] for name in ("model.onnx", "constants.onnx")) / 1e6,
        abs=1e-3,
    )
    generator = torch.Generator().manual_seed(1)
    target = torch.rand((1, 3, 64, 64), generator=generator) * 2 - 1
    identity = nn.functional.normalize(torch.randn((1, 8), generator=generator))
    maker = make_session(files.network("constants.onnx"))
    (constants,) = maker.run(["constants"], {"identity": identity.numpy()})
    guide = torch.rand((1, 4, 64, 64), generator=generator) if network.guided else None
    seen = {"target": target.numpy(), "constants": constants}
    if guide is not None:
        seen["guide"] = guide.numpy()
    image, mask = make_session(files.onnx).run(["image", "mask"], seen)
    with torch.no_grad():
        wanted = model(target, identity, guide)
    assert np.abs(image - wanted.images[0].numpy()).max() < 1e-3
    assert np.abs(mask - wanted.mask.numpy()).max() < 1e-3
    json.loads(files.read("recipe.json"))


@pytest.fixture
def guided_run(tmp_path):
    run = tmp_path / "run"
    network = config(guide=True)
    write_run(run, shaken(network).eval(), recipe(network=network))
    (run / "log.jsonl").write_text("{}\n")
    return run


def test_eight_bits_come_beside_single_precision(tmp_path, guided_run, monkeypatch):
    asked = []

    def squares(folders, **how):
        asked.append((folders, how["guide"], how["augment"]))
        return Squares()

    monkeypatch.setattr(module, "open_triplets", squares)
    monkeypatch.setattr(module, "EXAMPLES", 6)
    reader = encoder()
    reader.model_id = "recognizer-9-abc"
    report = export_swap(guided_run, tmp_path / "swap", encoder=reader, int8=[tmp_path])
    assert asked == [([tmp_path], 64, None)] * 2
    files = open_model(tmp_path / "swap")
    assert files.config["encoder"] == "recognizer-9-abc"
    told = report["model-int8.onnx"]
    assert told["bytes"] == len(files.network("model-int8.onnx"))
    assert 0 < told["image_error"] < 10
    assert 0 <= told["mask_error"] < 0.1
    single, eight = (make_session(files.network(n)) for n in ("model.onnx", "model-int8.onnx"))
    assert [i.name for i in single.get_inputs()] == [i.name for i in eight.get_inputs()]
    assert [o.name for o in single.get_outputs()] == [o.name for o in eight.get_outputs()]


def test_eight_bits_need_a_recogniser(tmp_path, guided_run):
    with pytest.raises(ConfigError, match="recogniser"):
        export_swap(guided_run, tmp_path / "swap", int8=[tmp_path])
    assert not (tmp_path / "swap").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finished run"):
        export_swap(tmp_path, tmp_path / "out")


def test_a_normalisation_is_folded_into_what_follows():
    torch.manual_seed(0)
    body = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6),
                         nn.Conv2d(6, 2, 3, padding=1)).eval()  # fmt: skip
    for norm in (body[0], body[2]):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        before = body(x)
        after = fold_before(body)(x)
    assert isinstance(body[0], nn.Identity)
    assert isinstance(body[2], nn.BatchNorm2d)  # padding is zero behind it, not before
    assert torch.allclose(before, after, atol=1e-5)
