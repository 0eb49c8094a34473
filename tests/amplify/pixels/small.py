"""A base that is tiny and untrained, or as good as: for tests of what is around it."""

from __future__ import annotations

import torch

from visagist.amplify.pixels.backend import Base
from visagist.amplify.pixels.config import AmplifierRecipe
from visagist.generation.network import GeneratorNetwork

SMALL = {"depth": 1, "encoder_width": 32, "encoder_heads": 1, "decoder_width": 32}
SMALL |= {"decoder_heads": 1, "patch": 8}


def small_recipe(**changes: object) -> AmplifierRecipe:
    return AmplifierRecipe.model_validate(
        {"data": {"use": "makeup"}, "network": dict(SMALL), **changes}
    )


def small_base(*, shaken: float = 0.0) -> Base:
    """Untrained, which is the mesh transfer; or with weights moved at random."""
    torch.manual_seed(0)
    recipe = small_recipe()
    network = GeneratorNetwork(recipe.network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(shaken * torch.randn_like(parameter))
    return Base(network.eval(), recipe, "amplifier-test-000000000000")
