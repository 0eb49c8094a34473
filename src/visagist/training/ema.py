"""Averages of weights: one that is kept, and any other length found after the training.

Sources: Karras et al. 2024 ("Analyzing and improving the training dynamics of diffusion models"),
equations 2 (profile), 6 and appendix C (averages found afterwards).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from visagist.training.parallel import local


class PowerEma:
    """Averages weights with a decay that grows with training (Karras et al. 2024, eq. 2).

    ``beta(t) = (1 - 1/t)^(gamma + 1)``: early weights are forgotten at the same relative rate at
    every length of training, so no horizon has to be chosen.

    Args:
        model: whose weights are averaged; it is copied.
        gamma: exponent of the profile.
        decay: a constant decay instead, as older recipes have it; 0 for the profile.
    """

    def __init__(self, model: nn.Module, *, gamma: float = 12.0, decay: float = 0.0) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.gamma, self.decay = gamma, decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Blend in the weights after step ``step`` (the first step is 1); buffers are copied."""
        beta = self.decay or (1 - 1 / step) ** (self.gamma + 1)
        ours = local(list(self.model.parameters()))
        theirs = local(list(model.parameters()))
        torch._foreach_lerp_(ours, theirs, 1 - beta)
        for mine, new in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(new)


def gamma_of(sigma_rel: float) -> float:
    """Exponent of the profile whose standard deviation is a share ``sigma_rel`` of the training.

    Inverts sigma_rel = sqrt((gamma + 1) / ((gamma + 2)^2 (gamma + 3))), which falls with gamma.

    Raises:
        ValueError: ``sigma_rel`` is not between 0 and 0.28, where gamma would be below 0.
    """
    if not 0 < sigma_rel < sigma_rel_of(0.0):
        raise ValueError(f"sigma_rel must be between 0 and 0.28, not {sigma_rel}")
    low, high = 0.0, 2 / sigma_rel
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sigma_rel_of(middle) > sigma_rel else (low, middle)
    return (low + high) / 2


def sigma_rel_of(gamma: float) -> float:
    """Standard deviation of a profile as a share of the training; see :func:`gamma_of`."""
    return math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))


def profile_products(
    steps_a: NDArray[np.float64],
    gammas_a: NDArray[np.float64],
    steps_b: NDArray[np.float64],
    gammas_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(a, b) inner products of profiles p(t) = (gamma + 1) t^gamma / T^(gamma + 1) on [0, T].

    In closed form: with T1 <= T2, (g1 + 1)(g2 + 1) / (g1 + g2 + 1) * T1^g2 / T2^(g2 + 1).
    """
    t1, g1 = steps_a[:, None], gammas_a[:, None]
    t2, g2 = steps_b[None, :], gammas_b[None, :]
    early, late = np.minimum(t1, t2), np.maximum(t1, t2)
    exponent = np.where(t1 <= t2, g2, g1)  # of the profile that lasts longer
    scale = (g1 + 1) * (g2 + 1) / (g1 + g2 + 1)
    products: NDArray[np.float64] = scale * np.exp(exponent * np.log(early / late)) / late
    return products


def posthoc_weights(
    steps: Sequence[int], gammas: Sequence[float], *, step: int, gamma: float
) -> NDArray[np.float64]:
    """How to mix stored averages into the one that was not kept (least squares on the profiles).

    Args:
        steps: training step of each stored average.
        gammas: exponent of each.
        step: at which the wished average ends; not after the last stored one.
        gamma: its exponent.

    Returns:
        One weight for each stored average; they add up to 1.

    Raises:
        ValueError: nothing is stored, or ``step`` is after the last.
    """
    if not steps or step > max(steps):
        raise ValueError(f"no average is stored at or after step {step}")
    t, g = np.asarray(steps, np.float64), np.asarray(gammas, np.float64)
    gram = profile_products(t, g, t, g)
    wish = profile_products(t, g, np.array([float(step)]), np.array([float(gamma)]))[:, 0]
    # Profiles that end close together are nearly the same: normalise, then least squares.
    length = np.sqrt(np.diag(gram))
    scaled, *_ = np.linalg.lstsq(gram / np.outer(length, length), wish / length, rcond=1e-12)
    weights = scaled / length
    # The profiles are those of continuous time; in short runs the steps' own weights differ from
    # them by so much that the sum is off by a fraction of a percent, and all weights with it.
    summed_to_one: NDArray[np.float64] = weights / weights.sum()
    return summed_to_one
