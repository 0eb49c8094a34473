from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.swap.small import encoder
from visagist.swap.encoder import FrozenEncoder, window_weights


@pytest.mark.parametrize(("side", "out"), [(256, 112), (64, 112), (20, 7)])
def test_window_weights_are_triangles(side, out):
    start, stop = 0.1, 0.9
    weights = window_weights(side, out, start=start, stop=stop).numpy()
    assert np.allclose(weights.sum(1), 1, atol=1e-6)
    step = (stop - start) * side / out
    places = np.arange(side) + 0.5
    for row in (0, out // 2, out - 1):
        centre = start * side + step * (row + 0.5)
        triangle = np.maximum(1 - np.abs(places - centre) / max(1.0, step), 0)
        assert np.allclose(weights[row], triangle / triangle.sum(), atol=1e-6)


def test_a_window_over_the_rim_repeats_it():
    weights = window_weights(8, 10, start=-0.5, stop=1.25)
    assert torch.allclose(weights.sum(1), torch.ones(10))
    assert float(weights[0, 0]) == pytest.approx(1)


def test_the_view_keeps_slopes_where_they_are():
    """A ramp stays a ramp: positions are those of pixel centres."""
    seen = FrozenEncoder(nn.Identity(), [], side=16, field=0.5, centre=(0.5, 0.6))
    side = 64
    ramp = (torch.arange(side) + 0.5).expand(1, 3, side, side)
    expected = side * (0.25 + 0.5 * (torch.arange(16) + 0.5) / 16)
    assert torch.allclose(seen.view(ramp)[0, 0, 3], expected, atol=1e-4)
    down = side * (0.35 + 0.5 * (torch.arange(16) + 0.5) / 16)
    assert torch.allclose(seen.view(ramp.transpose(2, 3))[0, 0, :, 5], down, atol=1e-4)


def test_vectors_have_unit_length_and_the_weights_are_frozen():
    frozen = encoder()
    crops = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    seen = frozen(frozen.view(crops))
    assert torch.allclose(seen.vectors.norm(dim=1), torch.ones(2))
    assert [m.shape for m in seen.maps] == [(2, 4, 16, 16)]
    seen.vectors.sum().backward()
    assert crops.grad is not None
    assert all(p.grad is None for p in frozen.parameters())
    assert not frozen.network.training


def test_views_of_another_size_are_resized_and_black_is_where_the_network_wants_it():
    caught = []
    seen = FrozenEncoder(nn.Flatten(), [], side=4, field=1, centre=(0.5, 0.5), low=0.0)
    seen.network.register_forward_hook(lambda m, given, out: caught.append(given[0]))
    seen(torch.full((1, 3, 8, 8), -1.0) + torch.tensor([0.0, 1.0, 2.0]).reshape(1, 3, 1, 1))
    assert caught[0].shape == (1, 3, 4, 4)
    assert caught[0][0, :, 0, 0].tolist() == pytest.approx([0.0, 0.5, 1.0])
