from __future__ import annotations

import copy

import numpy as np
import torch

from visagist.deploy.export import fold
from visagist.face.mesh.config import MeshNetworkConfig
from visagist.face.mesh.network import MeshNetwork, mean_shape
from visagist.face.topology import canonical_points


def test_size():
    folded = fold(copy.deepcopy(MeshNetwork(MeshNetworkConfig())).eval())
    count = sum(p.numel() for p in folded.parameters())
    assert count == 1_238_931
    assert count <= 1_500_000


def test_the_mean_shape_is_the_canonical_face_in_the_middle_of_a_wider_crop():
    shape, field = mean_shape(1.25).numpy(), 1.25
    points = canonical_points() / 256
    assert np.allclose((shape[:, :2] - 0.5) * field + 0.5, points[:, :2], atol=1e-6)
    assert np.allclose(shape[:, 2] * field, points[:, 2], atol=1e-6)
    span = shape[:468, 0].min(), shape[:468, 0].max()
    assert abs(sum(span) / 2 - 0.5) < 2e-3


@torch.no_grad()
def test_an_untrained_network_says_the_mean_shape():
    torch.manual_seed(0)
    network = MeshNetwork(MeshNetworkConfig()).eval()
    points, logit = network(torch.rand(2, 3, 128, 128) * 2 - 1)
    assert points.shape == (2, 478, 3)
    assert logit.shape == (2,)
    assert (points - mean_shape(1.25)).abs().max() < 0.05
