from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.swap.small import PAPER, config
from visagist.swap.config import NetworkConfig
from visagist.swap.discriminator import PatchDiscriminator
from visagist.swap.modulation import Modulation, blend, pieces
from visagist.swap.network import PatchNetwork, make_network

OURS = NetworkConfig()
LIVE = NetworkConfig(width=32, body=64, body_blocks=4)
PUBLISHED = NetworkConfig(kind="paper", embedding=512)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def on_meta(settings: NetworkConfig):
    """The network without memory or arithmetic, for counting."""
    with torch.device("meta"):
        return make_network(settings).eval()


def macs(network: nn.Module, *, finest: bool, part: nn.Module | None = None) -> float:
    """Multiply-adds of convolutions and linear layers at 256x256 in 1e9, counted by hooks."""
    total = 0

    def add(module, given, out):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            a, b = module.kernel_size
            total += out.numel() * a * b * module.in_channels // module.groups
        else:
            total += out.numel() * module.in_features

    inside = set((part or network).modules())
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module in inside:
            module.register_forward_hook(add)
    identity = torch.empty(1, network.config.embedding, device="meta")
    constants = network.identity_constants(identity)
    target = torch.empty(1, 3, 256, 256, device="meta")
    guide = torch.empty(1, 4, 256, 256, device="meta") if network.config.guided else None
    network.draw(target, constants, guide, finest=finest)
    return total / 1e9


def inputs(settings: NetworkConfig, n: int = 2, side: int = 64):
    generator = torch.Generator().manual_seed(5)
    target = torch.rand((n, 3, side, side), generator=generator) * 2 - 1
    identity = torch.randn((n, settings.embedding), generator=generator)
    return target, nn.functional.normalize(identity)


def shaken(settings: NetworkConfig):
    """With running statistics and weights that are not those of the start."""
    torch.manual_seed(0)
    network = make_network(settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        if isinstance(module, nn.Conv2d) and settings.kind == "patch":
            nn.init.normal_(module.weight, std=0.5 * module.weight[0].numel() ** -0.5)
    return network


def guide_of(settings, side=64):
    """A picture and a share, or nothing for a network that takes none."""
    if not settings.guided:
        return None
    made = torch.rand((2, 4, side, side), generator=torch.Generator().manual_seed(5))
    made[:, :3] = 2 * made[:, :3] - 1
    return made


def test_the_papers_network_has_the_published_parameters():
    network = on_meta(PUBLISHED)
    parts = {
        "head": count(network.head) + count(network.head_identity),
        "attributes": count(network.attributes),
        "identity": count(network.identity),
        "decoder": count(network.decoder),
    }
    assert parts == {
        "head": 42_816,
        "attributes": 501_696,
        "identity": 1_399_488,
        "decoder": 573_781,
    }
    assert count(network) == 2_517_781
    linear = sum(count(m) for m in network.modules() if isinstance(m, nn.Linear))
    assert linear == 590_976
    assert sum(b.numel() for b in network.buffers()) == 5_418
    assert network.constants_size == 1_152


@pytest.mark.parametrize(
    ("width", "parameters"), [(48, 1_529_685), (32, 780_693), (24, 495_861), (16, 270_805)]
)
def test_the_papers_network_at_other_widths(width, parameters):
    assert count(on_meta(PUBLISHED.model_copy(update={"width": width}))) == parameters


def test_the_papers_work_is_the_measured_one():
    assert macs(on_meta(PUBLISHED), finest=False) == pytest.approx(32.38, abs=0.01)
    for part, expected in (("attributes", 9.40), ("identity", 5.43), ("decoder", 14.76)):
        network = on_meta(PUBLISHED)
        got = macs(network, finest=False, part=getattr(network, part))
        assert got == pytest.approx(expected, abs=0.01), part


@pytest.mark.parametrize(
    ("settings", "gmac", "megabytes"), [(OURS, 3.0, 10.2), (LIVE, 0.7, 2.5)], ids=["ours", "live"]
)
def test_ours_are_small(settings, gmac, megabytes):
    network = on_meta(settings)
    assert macs(network, finest=True) <= gmac
    assert 4 * count(network) / 1e6 <= megabytes
    widths = {m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)}
    assert all(width % 16 == 0 for width in widths - {1, 3, 12})


def test_the_discriminator_has_the_published_parameters_and_patches():
    judge = PatchDiscriminator(16, 4).eval()
    assert count(judge) == 702_641
    for side, patches in ((256, 19), (128, 11), (64, 7)):
        assert judge(torch.zeros(1, 3, side, side))[0].shape == (1, 1, patches, patches)


@pytest.mark.parametrize(
    "settings",
    [config(), config(guide=True), config(mask=False), config(residual=False),
     NetworkConfig.model_validate(PAPER), NetworkConfig.model_validate(PAPER | {"released": True})],
)  # fmt: skip
@pytest.mark.parametrize("side", [64, 96])
def test_three_pictures_and_a_mask(settings, side):
    network = shaken(settings).eval()
    target, identity = inputs(settings, side=side)
    guide = guide_of(settings, side=side)
    with torch.no_grad():
        out = network(target, identity, guide)
        finest = network.draw(target, network.identity_constants(identity), guide, finest=True)
    assert [x.shape[1:] for x in out.images] == [(3, side >> k, side >> k) for k in range(3)]
    assert out.mask.shape == (2, 1, side, side)
    assert 0 <= float(out.mask.min()) <= float(out.mask.max()) <= 1
    assert len(finest.images) == 1
    assert torch.allclose(finest.images[0], out.images[0], atol=1e-4)
    assert network.identity_constants(identity).shape == (2, network.constants_size)
    if not settings.masked:
        assert bool((out.mask == 1).all())


@pytest.mark.parametrize("settings", [config(), NetworkConfig.model_validate(PAPER)])
def test_another_identity_draws_another_picture_in_the_same_place(settings):
    network = shaken(settings).eval()
    target, identity = inputs(settings)
    with torch.no_grad():
        a, b = network(target, identity), network(target, identity.flip(0))
    # narrow and untrained, the paper's moves a picture little; rounding moves it by 1e-7
    assert float((a.images[0] - b.images[0]).abs().mean()) > 1e-4


def test_a_fresh_guided_network_copies_the_guide_where_it_shows_the_source():
    torch.manual_seed(0)
    settings = config(guide=True)
    network = make_network(settings).eval()
    target, identity = inputs(settings)
    guide = guide_of(settings)
    guide[:, 3:] = 0
    guide[:, 3:, 20:50, 20:44] = 1
    with torch.no_grad():
        out = network(target, identity, guide)
    for k, image in enumerate(out.images):
        expected = nn.functional.avg_pool2d(guide[:, :3], 2**k)
        assert float((image - expected).abs().max()) < 0.15
    assert float(out.mask[..., 24:46, 24:40].min()) > 0.9
    assert float(out.mask[..., :16, :].max()) < 0.2


def test_the_papers_network_knows_no_guide():
    settings = NetworkConfig.model_validate(PAPER | {"guide": True})
    assert not settings.guided
    network = shaken(settings).eval()
    target, identity = inputs(settings)
    with torch.no_grad():
        a, b = network(target, identity), network(target, identity, torch.zeros(2, 4, 64, 64))
    assert torch.equal(a.images[0], b.images[0])


def test_a_fresh_network_copies_the_target_and_masks_the_face():
    torch.manual_seed(0)
    network = make_network(config()).eval()
    target, identity = inputs(config())
    with torch.no_grad():
        out = network(target, identity)
    for k, image in enumerate(out.images):
        expected = nn.functional.avg_pool2d(target, 2**k)
        assert float((image - expected).abs().max()) < 0.15
    assert float(out.mask[..., 30:40, 28:36].min()) > 0.7
    assert float(out.mask[..., :4, :4].max()) < 0.2


@pytest.mark.parametrize(
    "settings", [config(), config(guide=True), NetworkConfig.model_validate(PAPER)]
)
def test_every_weight_gets_a_gradient(settings):
    network = shaken(settings).train()
    out = network(*inputs(settings), guide_of(settings))
    (sum(x.square().mean() for x in out.images) + out.mask.mean()).backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not float(p.grad.abs().max())
    ]
    assert without == []


def test_the_mask_teaches_nothing_but_its_head():
    network = shaken(config()).train()
    network(*inputs(config())).mask.mean().backward()
    taught = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert taught == {"mask_head"}


def test_constants_fold_the_running_statistics():
    """scale = sigma / std and shift = mu - mean * sigma / std, checked in float64."""
    torch.manual_seed(0)
    modulation = Modulation(6, 8, norm=True).double()
    nn.init.normal_(modulation.norm.running_mean)
    nn.init.uniform_(modulation.norm.running_var, 0.2, 3.0)
    identity = nn.functional.normalize(torch.randn(3, 8, dtype=torch.float64))
    x = torch.randn(3, 6, 5, 5, dtype=torch.float64)
    sigma, mu = modulation.train().constants(identity).chunk(2, 1)
    got = modulation.eval()(x, modulation.constants(identity))
    m = modulation.norm.running_mean[None, :, None, None]
    std = (modulation.norm.running_var + modulation.norm.eps).sqrt()[None, :, None, None]
    assert torch.allclose(got, (x - m) / std * sigma[..., None, None] + mu[..., None, None])


def test_constants_are_linear_in_the_identity():
    """So that mixing two sources' constants mixes their identities."""
    network = shaken(config()).eval()
    _, identity = inputs(config())
    a, b = network.identity_constants(identity)
    mixed = network.identity_constants((0.3 * identity[0] + 0.7 * identity[1])[None])[0]
    assert torch.allclose(mixed, 0.3 * a + 0.7 * b, atol=1e-5)


def test_blend_and_pieces():
    image, target = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), -0.5)
    mask = torch.tensor([[[[0.0, 1.0], [0.25, 0.5]]]])
    assert torch.allclose(blend(image, mask, target)[0, 0], mask[0, 0] - 0.5)
    assert [x.tolist() for x in pieces(torch.arange(5.0)[None], [2, 3])] == [[[0, 1]], [[2, 3, 4]]]


def test_a_side_that_cannot_be_halved_is_refused():
    with pytest.raises(ValidationError, match="multiple of 32"):
        NetworkConfig(image_size=100)


def test_the_kind_says_which_network():
    assert isinstance(make_network(config()), PatchNetwork)
