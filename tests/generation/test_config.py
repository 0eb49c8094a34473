from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from visagist.errors import ConfigError
from visagist.generation.config import SIZES, DiffusionRecipe, NetworkConfig, ViewsConfig, size
from visagist.generation.network import GeneratorNetwork, forward_macs, parameter_count

FACES = {"use": "generation", "size": 64, "zoom": 1.5}


@pytest.mark.parametrize(
    ("name", "millions"),
    [("epg-l-256", 540), ("epg-xl-256", 583), ("epg-xxl-256", 789), ("epg-g-256", 1391)],
)
def test_published_sizes_have_the_published_parameters(name, millions):
    assert parameter_count(size(name)) == pytest.approx(millions * 1e6, rel=5e-3)


@pytest.mark.parametrize("name", ["epg-l", "epg-xl", "epg-xxl", "epg-g"])
def test_512_differs_by_its_larger_patches_alone(name):
    small, large = size(f"{name}-256"), size(f"{name}-512")
    assert small.side == large.side == 16
    more = 3 * (32**2 - 16**2) * (small.encoder_width + small.decoder_width + 1)
    assert parameter_count(large) - parameter_count(small) == more


def test_multiply_adds_are_those_of_the_sheet():
    assert forward_macs(size("epg-l-256")) == pytest.approx(118e9, rel=5e-3)
    assert forward_macs(size("epg-xl-256")) == pytest.approx(131e9, rel=5e-3)
    assert forward_macs(size("face-38m-64")) == pytest.approx(8.8e9, rel=5e-3)


def test_multiply_adds_are_counted_right():
    config = size("face-5m-64", image_size=32, overlap=1, bottleneck=16)
    network = GeneratorNetwork(config)
    # The counter knows attention only where it is written out.
    plain = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        network(torch.zeros(1, 3, 32, 32), torch.zeros(1, 192))
    assert forward_macs(config) == pytest.approx(counter.get_total_flops() / 2, rel=1e-3)


def test_face_sizes_span_what_their_names_say():
    for name in SIZES:
        if name.startswith("face"):
            millions = float(name.split("-")[1].rstrip("m"))
            assert parameter_count(size(name)) == pytest.approx(millions * 1e6, rel=0.12)
            assert size(name).side in (8, 16)


def test_a_size_fills_in_and_what_is_given_wins():
    config = size("face-8m-64", patch=4, classes=7)
    assert (config.patch, config.classes, config.encoder_width) == (4, 7, 256)
    again = NetworkConfig.model_validate_json(config.model_dump_json())
    assert again == config
    with pytest.raises(ConfigError, match="face-8m-64"):
        size("face-9m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 7}, "patch 7 does not divide"),
        ({"encoder_heads": 5}, "encoder_heads 5"),
        ({"decoder_heads": 5}, "decoder_heads 5"),
        ({"masks": 1}, "source: true"),
        ({"residual": True}, "source: true"),
        ({"size": "huge"}, "no size 'huge'"),
        ({"widht": 3}, "widht"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        NetworkConfig.model_validate(changes)


def test_recipes_must_fit_their_data():
    good = {"data": {"faces": FACES}, "network": {"size": "face-5m-64"}}
    assert DiffusionRecipe.model_validate(good).network.image_size == 64
    for data, network in [
        ({"faces": FACES}, {"size": "face-5m-128"}),
        ({"faces": FACES}, {"size": "face-5m-64", "classes": 3}),
        ({}, {"size": "face-5m-64"}),
        ({"faces": FACES, "folder": "imagenet"}, {"size": "face-5m-64"}),
        ({"faces": FACES, "shares": {"a": 0.7, "b": 0.4}}, {"size": "face-5m-64"}),
    ]:
        with pytest.raises(ValidationError):
            DiffusionRecipe.model_validate({"data": data, "network": network})
    with pytest.raises(ValidationError):
        ViewsConfig(crop=(0.9, 0.5))
