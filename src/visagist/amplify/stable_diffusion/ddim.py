"""DDIM on latents, there and back (Song et al. 2021, arXiv 2010.02502, equation 12).

A latent at time ``t`` is ``z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) n`` with ``a_t`` the share of
signal. With predicted noise ``e`` a step to time ``s`` is, in either direction::

    z_0 = (z_t - sqrt(1 - a_t) e) / sqrt(a_t)
    z_s = sqrt(a_s) z_0 + sqrt(1 - a_s - sigma^2) e + sigma n
    sigma = eta sqrt((1 - a_s) / (1 - a_t)) sqrt(1 - a_t / a_s)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Predict = Callable[[Tensor, int], Tensor]
"""Noise in latents (B, C, h, w) at a time."""


def times(count: int, depth: float, steps: int) -> list[int]:
    """Times ``0 = t_0 < ... < t_n`` of a path, evenly spaced.

    Args:
        count: times of the schedule (1000).
        depth: share of the schedule that the path covers.
        steps: wanted on the path; there are fewer where the schedule has no more times.
    """
    last = max(1, round(depth * (count - 1)))
    return sorted({round(last * k / steps) for k in range(steps + 1)})


def step(
    latent: Tensor,
    noise: Tensor,
    here: float,
    there: float,
    *,
    eta: float = 0.0,
    fresh: Tensor | None = None,
) -> Tensor:
    """One step of DDIM.

    Args:
        latent: ``z_t``.
        noise: predicted in it, ``e``.
        here: ``a_t``.
        there: ``a_s``; above ``here`` on the way to a clean latent.
        eta: amount of new noise, only on that way.
        fresh: the new noise ``n``, where ``eta`` is not 0.
    """
    clean = (latent - math.sqrt(1 - here) * noise) / math.sqrt(here)
    sigma = 0.0
    if eta and fresh is not None:
        sigma = eta * math.sqrt((1 - there) / (1 - here)) * math.sqrt(1 - here / there)
    moved = math.sqrt(there) * clean + math.sqrt(max(0.0, 1 - there - sigma**2)) * noise
    return moved if fresh is None or not sigma else moved + sigma * fresh


def invert(clean: Tensor, predict: Predict, path: Sequence[int], kept: Tensor) -> list[Tensor]:
    """DDIM inversion: the latents of a photo at every time of a path, from clean to noisy.

    Args:
        clean: (B, C, h, w), taken as the latent at the first time.
        predict: noise at a time.
        path: of :func:`times`.
        kept: (T,) ``a_t`` of the schedule.
    """
    trajectory = [clean]
    for here, there in pairwise(path):
        latent = trajectory[-1]
        noise = predict(latent, here)
        trajectory.append(step(latent, noise, float(kept[here]), float(kept[there])))
    return trajectory


def denoise(
    trajectory: Sequence[Tensor],
    predict: Predict,
    path: Sequence[int],
    kept: Tensor,
    mask: Tensor,
    *,
    eta: float = 0.0,
    fresh: Sequence[Tensor] = (),
) -> Tensor:
    """Back from the noisy end of a trajectory, under a mask; elsewhere along the trajectory.

    The paper's masked composite ``L'_y = L_y M + L_x (1 - M)`` is made after every step with the
    photo's own latent at that time, so that both sides of the border always carry as much noise.

    Args:
        trajectory: the photo's latents, from :func:`invert`.
        predict: noise at a time, with or without a style.
        path: of the trajectory.
        kept: (T,) ``a_t`` of the schedule.
        mask: (B, 1, h, w) ``M_changed``.
        eta: amount of new noise.
        fresh: new noise for every step; hand the same to passes that are to be compared.

    Returns:
        (B, C, h, w) clean latents.
    """
    latent = trajectory[-1]
    for k in range(len(path) - 1, 0, -1):
        noise = predict(latent, path[k])
        latent = step(
            latent,
            noise,
            float(kept[path[k]]),
            float(kept[path[k - 1]]),
            eta=eta,
            fresh=fresh[k - 1] if eta else None,
        )
        latent = torch.lerp(trajectory[k - 1], latent, mask)
    return latent
