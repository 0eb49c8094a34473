"""Low-rank updates of linear layers (LoRA: Hu et al., arXiv 2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LowRank(nn.Module):
    """A frozen linear layer plus ``up(down(x))`` of low rank; ``up`` starts at zero.

    Args:
        layer: the layer; its own weights do not change.
        rank: of the update.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        result: Tensor = self.layer(x)
        return result + F.linear(F.linear(x, self.down), self.up)


def add_low_rank(module: nn.Module, rank: int) -> list[str]:
    """Give every linear layer inside a module an update; all other weights are frozen.

    Returns:
        Names of the layers.
    """
    module.requires_grad_(False)
    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    for name in names:
        parent = module.get_submodule(name.rpartition(".")[0])
        layer = module.get_submodule(name)
        assert isinstance(layer, nn.Linear)  # chosen so above
        setattr(parent, name.rpartition(".")[2], LowRank(layer, rank))
    return names


def updates(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and weights of all low-rank updates."""
    for name, part in module.named_modules():
        if isinstance(part, LowRank):
            yield f"{name}.down", part.down
            yield f"{name}.up", part.up
