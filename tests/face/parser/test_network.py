from __future__ import annotations

import pytest
import torch

from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import ParserNetworkConfig
from visagist.face.parser.network import ParserNetwork, stride

SMALL = ParserNetworkConfig(input_size=64, widths=(16, 16, 16, 32), depths=(0, 0, 1, 1))


@pytest.mark.parametrize("upsample", [1, 2, 4])
def test_logits_come_at_the_promised_resolution(upsample):
    config = SMALL.model_copy(update={"upsample": upsample})
    network = ParserNetwork(config).eval()
    with torch.no_grad():
        logits = network(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, len(CLASSES), 64 // stride(config), 64 // stride(config))


def test_every_weight_learns():
    network = ParserNetwork(SMALL)
    image = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    network(image).square().mean().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_a_pixel_is_judged_by_its_surroundings():
    network = ParserNetwork(SMALL).eval()
    image = torch.zeros(1, 3, 64, 64)
    other = image.clone()
    other[..., 60:, 60:] = 1.0  # far from the first cell
    with torch.no_grad():
        assert (network(image) - network(other))[0, :, 0, 0].abs().max() > 0
