from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from pydantic import ValidationError

from visagist.training.augment import disturb
from visagist.training.augmentation import OPERATIONS, AugmentConfig

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
EVERYTHING = AugmentConfig.model_validate(
    {"photometric": {"strength": 0.6, "grey": 0.1}, "geometric": {"roll": 45.0}}
    | {name: {"share": 0.4} for name in ("blur", "noise", "jpeg", "occlusion")}
)


def images() -> torch.Tensor:
    return torch.rand((40, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def changed(config: AugmentConfig, seed: int = 0) -> torch.Tensor:
    """Which of 40 pictures changed visibly."""
    before = images()
    after = disturb(before, config, torch.Generator().manual_seed(seed))
    assert torch.equal(before, images())
    assert after.min() >= 0
    assert after.max() <= 1
    return (after - before).abs().amax((1, 2, 3)) > 1e-3


def test_nothing_is_the_default():
    assert not changed(AugmentConfig()).any()
    assert not changed(EVERYTHING.switched()).any()


@pytest.mark.parametrize("name", ["photometric", "blur", "noise", "jpeg", "occlusion"])
def test_each_operation_can_be_alone(name):
    alone = changed(EVERYTHING.switched(name))
    assert alone.any()
    if name in ("blur", "noise", "jpeg"):
        assert 12 <= int(alone.sum()) <= 16  # its share of 40
        half = EVERYTHING.switched(name).model_copy(update={"degraded": 0.5})
        assert int(changed(half).sum()) <= 8
        assert not changed(half)[20:].any()
    if name != "photometric":
        everywhere = changed(EVERYTHING.switched(name).everywhere())
        assert everywhere.sum() > alone.sum()


def test_switching_keeps_the_numbers():
    off = EVERYTHING.switched("blur")
    assert off.blur == EVERYTHING.blur
    assert off.noise.share == EVERYTHING.noise.share
    assert off.noise.active == 0
    assert EVERYTHING.switched(*OPERATIONS) == EVERYTHING
    already = EVERYTHING.model_copy(
        update={"jpeg": EVERYTHING.jpeg.model_copy(update={"enabled": False})}
    )
    assert already.switched("jpeg").jpeg.active == 0


def test_the_same_generator_gives_the_same_pictures():
    first, second, other = (
        disturb(images(), EVERYTHING, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_wrong_field_is_refused():
    for wrong in ({"blurr": {}}, {"blur": {"share": 2}}, {"noise": {"level": 3}}):
        with pytest.raises(ValidationError):
            AugmentConfig.model_validate(wrong)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_say_what_they_disturb(path):
    section = yaml.safe_load(path.read_text()).get("augment")
    if section is not None:
        config = AugmentConfig.model_validate(section)
        assert config != AugmentConfig()
