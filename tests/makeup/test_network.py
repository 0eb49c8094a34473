from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from visagist.deploy.export import fold
from visagist.makeup.config import MakeupNetworkConfig
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.released import PARAMETERS, ReleasedTinyBeauty
from visagist.makeup.style import builtin_styles


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def flops(model: torch.nn.Module, *inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def network() -> MakeupNetwork:
    """With statistics and biases that are not those of a fresh network."""
    torch.manual_seed(0)
    model = MakeupNetwork(MakeupNetworkConfig(styles=builtin_styles()))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(model.bias, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand((3, 3, 256, 256), generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_size_and_cost(network, image):
    code = torch.full((1, len(builtin_styles())), 0.1)
    folded = fold(copy.deepcopy(network))
    assert parameters(network) <= 80_000
    assert parameters(folded) <= 80_000
    assert flops(folded, image[:1], code) <= 0.69e9


def test_folding_changes_nothing(network, image):
    code = torch.eye(len(builtin_styles()))[:1]
    with torch.no_grad():
        difference = network(image[:1], code) - fold(copy.deepcopy(network))(image[:1], code)
    assert difference.abs().max() < 1e-4


def test_the_released_table(image):
    released = ReleasedTinyBeauty().eval()
    assert parameters(released) == PARAMETERS == 85_227
    assert round(flops(released, image[:1]) / 2e9, 4) == 1.4816
    with torch.no_grad():
        assert released(image[:1]).shape == (1, 3, 256, 256)


@torch.no_grad()
def test_a_mix_of_codes_is_the_mix_of_residuals(network, image):
    codes = torch.eye(len(builtin_styles()))
    one = image[:1, :, :64, :64]
    first, second = network(one, codes[:1]), network(one, codes[1:2])
    mixed = network(one, 0.3 * codes[:1] + 0.6 * codes[1:2])
    assert torch.allclose(mixed, 0.3 * first + 0.6 * second, atol=1e-5)
    assert network(one, torch.zeros(1, len(codes))).abs().max() == 0


@torch.no_grad()
def test_a_sample_of_patches_is_the_whole_at_these_places(network, image):
    codes = torch.eye(len(builtin_styles()))[[2, 5]].expand(2, -1, -1)
    features = network.trunk(image[:2]).flatten(2)
    where = torch.tensor([[0, 63, 64, 1000, 4095], [7, 8, 9, 2048, 4000]])
    chosen = features.gather(2, where[:, None].expand(-1, features.shape[1], -1))
    sample = network.patches(chosen, codes)
    for k in range(2):
        whole = F.pixel_unshuffle(network(image[:2], codes[:, k]), 4).flatten(2)
        expected = whole.gather(2, where[:, None].expand(-1, 48, -1))
        assert torch.allclose(sample[:, k], expected, atol=1e-5)


@torch.no_grad()
def test_a_face_does_not_depend_on_its_batch(network, image):
    codes = torch.eye(len(builtin_styles()))[:3]
    alone = torch.cat([network(image[i : i + 1], codes[i : i + 1]) for i in range(3)])
    assert torch.allclose(network(image, codes), alone, atol=1e-5)


@torch.no_grad()
def test_moved_by_whole_cells_the_residual_moves_along(network, image):
    """Nothing depends on the crop at hand: 16 pixels on, the residual is 16 pixels on."""
    code = torch.eye(len(builtin_styles()))[:1]
    still = network(image[:1], code)
    moved = network(torch.roll(image[:1], 16, 3), code)
    inner = (..., slice(None), slice(112, 144))
    assert torch.allclose(torch.roll(still, 16, 3)[inner], moved[inner], atol=1e-4)
