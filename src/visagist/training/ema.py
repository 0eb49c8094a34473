"""Exponential moving average of weights with a power-function profile."""

from __future__ import annotations

import copy

import torch
from torch import nn


class PowerEma:
    """Averages weights with a decay that grows with training (Karras et al. 2024, eq. 2).

    ``beta(t) = (1 - 1/t)^(gamma + 1)``: early weights are forgotten at the same relative rate at
    every length of training, so no horizon has to be chosen.
    """

    def __init__(self, model: nn.Module, *, gamma: float = 12.0) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.gamma = gamma

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Blend in the weights after step ``step`` (the first step is 1); buffers are copied."""
        beta = (1 - 1 / step) ** (self.gamma + 1)
        ours: list[torch.Tensor] = list(self.model.parameters())
        theirs: list[torch.Tensor] = list(model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - beta)
        for mine, new in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(new)
