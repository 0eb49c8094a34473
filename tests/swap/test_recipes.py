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
        "swap-128.yaml", "swap-live-128.yaml", "swap-live.yaml", "swap-paper.yaml", "swap.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["swap", "swap-live"])
def test_the_first_stage_trains_the_network_of_the_last(name):
    first, last = recipe(f"{name}-128"), recipe(name)
    assert first.network == last.network
    assert (first.data.size, last.data.size) == (128, 256)
    # a mask that has been learned is not held still again
    assert last.losses.mask.start == 0
    assert first.losses.mask.start < first.loop.steps


def test_the_papers_losses_have_the_published_weights():
    losses = recipe("swap-paper").losses
    assert losses.identity.weights == (20.0, 20.0, 20.0)
    assert losses.adversarial.weights == (1.0, 0.02, 0.02)
    assert (losses.pixel.weight, losses.perceptual) == (15.0, 4.0)
    assert losses.identity.margin == 0.02
