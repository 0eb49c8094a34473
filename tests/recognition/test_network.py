from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from visagist.recognition.config import NetworkConfig
from visagist.recognition.mobilefacenet import MobileFaceNet
from visagist.recognition.network import EmbeddingNetwork, add_padded, make_network


def count(network):
    return sum(p.numel() for p in network.parameters())


def expected(config):
    """Weights of the residual network, added up by hand."""
    extra = 2 if config.norm else 1  # gain and shift, or a bias

    def convolution(inputs, outputs, rank):
        if not rank:
            return 9 * inputs * outputs + extra * outputs
        thin = min(rank, inputs)
        return inputs * thin + 9 * thin * rank + rank * outputs + extra * outputs

    width = config.widths[0]
    total = 3 * 64 * config.stem + extra * config.stem + config.stem * width + extra * width
    for channels, blocks, rank in zip(config.widths, config.blocks, config.ranks, strict=True):
        for _ in range(blocks):
            total += convolution(width, channels, rank) + convolution(channels, channels, rank)
            width = channels
    return total + width * config.embedding + config.embedding


@pytest.mark.parametrize("norm", [False, True])
def test_has_the_weights_that_its_config_says(norm):
    config = NetworkConfig(norm=norm)
    assert count(EmbeddingNetwork(config)) == expected(config) <= 1_300_000


def test_the_shipped_shape_is_small():
    assert count(make_network(NetworkConfig())) * 4 <= 4.3e6 - 60_000  # the graph needs some, too


def test_mobilefacenet_has_the_published_size():
    # Chen et al. 2018, section 4: 0.99 million parameters, with the gains of batch normalisation
    # folded into the filters.
    network = make_network(NetworkConfig(kind="mobilefacenet"))
    assert isinstance(network, MobileFaceNet)
    gains = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert round((count(network) - gains) / 1e6, 2) == 0.99
    assert network.eval()(torch.zeros(2, 3, 112, 112)).shape == (2, 128)


@torch.no_grad()
@pytest.mark.parametrize("norm", [False, True])
def test_maps_have_the_sizes_of_the_teachers(norm):
    network = EmbeddingNetwork(NetworkConfig(norm=norm)).eval()
    x = network.stem(torch.zeros(1, 3, 112, 112))
    sizes = [x.shape[2]]
    for stage in network.stages:
        x = stage(x)
        sizes.append(x.shape[2])
    assert sizes == [35, 35, 17, 8, 2]
    assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 128)


@torch.no_grad()
def test_a_row_does_not_depend_on_the_others():
    network = EmbeddingNetwork(NetworkConfig()).eval()
    faces = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.testing.assert_close(network(faces)[1:2], network(faces[1:2]), atol=1e-5, rtol=1e-4)


def test_what_is_missing_counts_as_zero():
    a, b = torch.ones(1, 2, 3, 3), torch.full((1, 1, 4, 2), 10.0)
    got = add_padded(a, b)
    assert got.shape == (1, 2, 4, 3)
    assert got.sum() == a.sum() + b.sum()
    assert got[0, 0, 0, 0] == 11 and got[0, 1, 0, 0] == 1 and got[0, 0, 3, 2] == 0


def test_a_config_with_a_missing_number_is_refused():
    with pytest.raises(ValidationError, match="one number a stage"):
        NetworkConfig(widths=(32, 64), blocks=(1,), ranks=(0, 0))
