from __future__ import annotations

from pathlib import Path

import pytest

from visagist.swap.config import SwapRecipe
from visagist.training.run import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = sorted(path.name for path in RECIPES.glob("swap*.yaml"))


def recipe(name: str) -> SwapRecipe:
    return read_recipe(RECIPES / f"{name}.yaml", SwapRecipe)


def test_the_recipes_are_these():
    assert NAMES == [
        "swap-256.yaml", "swap-live.yaml", "swap-paper.yaml", "swap-unguided.yaml", "swap.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["swap", "swap-256", "swap-live", "swap-unguided"])
def test_each_exports_at_the_side_it_trains_at(name):
    made = recipe(name)
    assert made.network.image_size == made.data.size
    assert made.network.guided == (name != "swap-unguided")
    # a guided network is worth drawing from its first step on, another is not
    assert (made.losses.mask.start == 0) == made.network.guided


def test_the_stage_at_256_trains_the_network_of_the_first():
    first, last = recipe("swap").network, recipe("swap-256").network
    assert first.model_copy(update={"image_size": 256}) == last


def test_the_papers_losses_have_the_published_weights():
    losses = recipe("swap-paper").losses
    assert losses.identity.weights == (20.0, 20.0, 20.0)
    assert losses.adversarial.weights == (1.0, 0.02, 0.02)
    assert (losses.pixel.weight, losses.perceptual) == (15.0, 4.0)
    assert losses.identity.margin == 0.02
