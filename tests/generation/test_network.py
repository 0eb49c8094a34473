from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.generation.small import inputs, network, small
from visagist.generation.config import PretrainConfig
from visagist.generation.modules import Attention, PatchEmbedding, PatchHead
from visagist.generation.network import (
    GlobalBatchNorm,
    PretrainNetwork,
    apply_residual,
    condition_input,
    forward_macs,
    parameter_count,
)


@pytest.mark.parametrize(
    "changes",
    [{}, {"overlap": 2}, {"bottleneck": 8}, {"classes": 3}, {"source": True, "masks": 2}],
    ids=str,
)
def test_an_untrained_network_gives_zero_and_learns_everywhere(changes):
    image, time = inputs()
    net = network(shaken=False, **changes)
    label = torch.tensor([0, 3]) if "classes" in changes else None
    extra = torch.randn(2, 6, 16, 16) if "source" in changes else None
    assert torch.equal(net(image, time, label, extra), torch.zeros(2, 3, 16, 16))
    shaken = network(**changes)
    shaken(image, time, label, extra).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in shaken.parameters())


def test_attention_is_its_formula():
    torch.manual_seed(0)
    layer = Attention(8, 2).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = (layer.qkv(x)[0].reshape(5, 3, 2, 4).permute(1, 2, 0, 3)).detach().numpy()
    scores = q @ k.transpose(0, 2, 1) / 2.0  # the root of 4
    soft = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = (soft @ v).transpose(1, 0, 2).reshape(5, 8)
    wanted = mixed @ layer.out.weight.detach().numpy().T + layer.out.bias.detach().numpy()
    assert np.allclose(layer(x)[0].detach().numpy(), wanted)


def test_patches_lie_where_they_belong():
    reading = PatchEmbedding(3, 4, patch=4, overlap=0, bottleneck=0)
    image = torch.randn(1, 3, 8, 8)
    tokens = reading(image)
    for row in range(2):
        for column in range(2):
            cut = image[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            weight = reading.read.weight.flatten(1)
            wanted = cut.flatten(1) @ weight.T + reading.read.bias
            assert torch.allclose(tokens[:, 2 * row + column], wanted, atol=1e-5)


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_the_head_writes_patches_and_adds_where_they_overlap(overlap):
    torch.manual_seed(0)
    head = PatchHead(8, side=3, patch=4, overlap=overlap)
    tokens = torch.randn(2, 9, 8)
    kernel = 4 + 2 * overlap
    pieces = head.write(head.norm(tokens)).reshape(2, 3, 3, 3, kernel, kernel)
    wanted = torch.zeros(2, 3, 12 + 2 * overlap, 12 + 2 * overlap)
    for row in range(3):
        for column in range(3):
            y, x = 4 * row, 4 * column
            wanted[:, :, y : y + kernel, x : x + kernel] += pieces[:, row, column]
    inside = wanted[:, :, overlap : overlap + 12, overlap : overlap + 12]
    assert torch.allclose(head(tokens), inside, atol=1e-6)


def test_every_input_has_an_effect():
    image, time = inputs()
    net = network(classes=4, source=True, masks=1).eval()
    label, extra = torch.tensor([1, 2]), torch.rand(2, 5, 16, 16)
    first = net(image, time, label, extra)
    other = [
        net(image + 0.1, time, label, extra),
        net(image, time + 0.1, label, extra),
        net(image, time, torch.tensor([4, 4]), extra),
        net(image, time, label, extra * 0),
    ]
    assert all((first - o).abs().max() > 1e-4 for o in other)
    weights = F.one_hot(label, 5).float()
    assert torch.allclose(net(image, time, weights, extra), first, atol=1e-6)


def test_the_conditional_channels_start_at_zero_so_that_earlier_weights_still_do_the_same():
    image, time = inputs()
    plain = network()
    torch.manual_seed(9)
    more = network(shaken=False, source=True)
    missing, unknown = more.load_state_dict(plain.state_dict(), strict=False)
    assert unknown == []
    assert {name.split(".")[0] for name in missing} == {"condition"}
    extra = condition_input(torch.rand(2, 3, 16, 16), None)
    assert torch.equal(more(image, time, None, extra), plain(image, time))


def test_a_residual_network_starts_as_its_source_and_stays_so_outside_the_mask():
    source, masks = torch.rand(2, 3, 16, 16) * 2 - 1, torch.zeros(2, 2, 16, 16)
    masks[:, 0, 4:9, 4:9] = 1
    condition = condition_input(source, masks)
    image, time = inputs()
    fresh = network(shaken=False, source=True, masks=2, residual=True)
    assert torch.equal(apply_residual(fresh(image, time, None, condition), condition, 2), source)
    moved = apply_residual(
        network(source=True, masks=2, residual=True)(image, time, None, condition), condition, 2
    )
    changed = (moved != source).any(1)
    assert changed[:, 4:9, 4:9].any()
    changed[:, 4:9, 4:9] = False
    assert not changed.any()
    unmasked = condition_input(source, None)
    assert torch.equal(apply_residual(source * 0 + 1, unmasked, 0), source + 1)


def test_hints_come_in_beside_the_masks_but_do_not_say_where_the_picture_may_change():
    source, masks = torch.rand(2, 3, 16, 16) * 2 - 1, torch.zeros(2, 1, 16, 16)
    condition = condition_input(source, masks, hints=torch.ones(2, 3, 16, 16))
    config = network(source=True, masks=1, hints=3, residual=True).config
    assert condition.shape[1] == config.condition_channels == 8
    assert torch.equal(apply_residual(source * 0 + 1, condition, 1), source)


def test_a_source_left_out_is_zero_everywhere():
    out = condition_input(torch.rand(2, 3, 4, 4), torch.ones(2, 1, 4, 4), torch.tensor([1, 0]))
    assert out.shape == (2, 5, 4, 4)
    assert (out[0, 3:] == 1).all()
    assert not out[1].any()


def test_recomputed_activations_give_the_same_gradients():
    image, time = inputs()
    gradients = []
    for again in (False, True):
        net = network()
        net.encoder.checkpointing = again
        net(image, time).square().sum().backward()
        gradients.append([p.grad for p in net.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_batch_norm_is_that_of_torch_in_training():
    x = torch.randn(16, 6)
    ours, theirs = GlobalBatchNorm(6), torch.nn.BatchNorm1d(6)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    assert not list(ours.buffers())


def test_projections_of_views_use_their_own_statistics():
    torch.manual_seed(0)
    net = PretrainNetwork(small(), PretrainConfig(hidden=24, projection=8, batch=4))
    image, time = inputs(12)
    features, projected = net(image, time, 4)
    assert features.shape == (12, 32)
    assert projected.shape == (8, 8)
    assert torch.allclose(projected[:4], net.projector(features[:4]), atol=1e-6)
    assert torch.allclose(projected[4:], net.projector(features[4:8]), atol=1e-6)
    assert len(net(image, time)[1]) == 0


def test_refinement_starts_as_nothing_and_sees_single_pixels():
    image, time = inputs()
    source = torch.rand(2, 3, 16, 16) * 2 - 1
    condition = condition_input(source, None)
    fresh = network(shaken=False, source=True, refine=8)
    assert not fresh(image, time, None, condition).any()
    refined = network(source=True, refine=8)
    plain = network(source=True)
    assert refined.refinement is not None
    assert parameter_count(refined.config) > parameter_count(plain.config)
    assert forward_macs(refined.config) > forward_macs(plain.config)
    assert refined(image, time).shape == image.shape  # a source left out is zeros
    moved = condition.clone()
    moved[:, 0, 5, 5] += 1
    change = (refined(image, time, None, moved) - refined(image, time, None, condition)).abs()
    assert change[:, :, 5, 5].mean() > change.mean() > 0
