"""Averages of other lengths from those that a training stored (see :mod:`visagist.training.ema`).

A run whose recipe sets ``ema_second`` and ``average_every`` leaves::

    OUT/averages/0/step-000002000.ckpt    of the first profile
    OUT/averages/1/step-000002000.ckpt    of the second
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from visagist.errors import DataError
from visagist.training.checkpoint import list_checkpoints, read_checkpoint, step_of
from visagist.training.ema import gamma_of, posthoc_weights


def average_afterwards(
    run: Path, sigma_rel: float, *, step: int | None = None
) -> dict[str, Tensor]:
    """The average that a run would have kept, had it been asked for.

    Args:
        run: folder of the run.
        sigma_rel: standard deviation of the wished profile as a share of the training, 0 to 0.28;
            0.05 to 0.15 are usual, and most runs have their best there.
        step: at which it ends; the last stored one by default.

    Returns:
        The state of the model, float32.

    Raises:
        DataError: nothing usable is stored.
        ValueError: ``sigma_rel`` is out of range.
    """
    paths = [path for number in (0, 1) for path in list_checkpoints(run / "averages" / str(number))]
    if not paths:
        raise DataError(
            f"{run}: no averages are stored; set loop.average_every and loop.ema_second and train"
        )
    last = max(step_of(path) for path in paths) if step is None else step
    kept: list[tuple[int, float, Path]] = []
    for path in paths:
        state = read_checkpoint(path)
        if state is None:
            raise DataError(f"{path} is damaged; delete it, and its average is left out")
        kept.append((step_of(path), float(state["gamma"]), path))
    try:
        weights = posthoc_weights(
            [s for s, _, _ in kept], [g for _, g, _ in kept], step=last, gamma=gamma_of(sigma_rel)
        )
    except ValueError as error:
        if "stored" in str(error):
            raise DataError(f"{run}: {error}") from error
        raise
    return _mixed([path for _, _, path in kept], [float(w) for w in weights])


def _mixed(paths: list[Path], weights: list[float]) -> dict[str, Tensor]:
    """One file at a time, so that memory holds two models and not all of them."""
    total: dict[str, Tensor] = {}
    for path, weight in zip(paths, weights, strict=True):
        state = read_checkpoint(path)
        if state is None:
            raise DataError(f"{path} is damaged; delete it, and its average is left out")
        for name, value in state["model"].items():
            if not value.is_floating_point():
                total[name] = value
                continue
            share = value.float() * weight
            total[name] = total[name] + share if name in total else share
    return {
        name: value.to(torch.get_default_dtype()) if value.is_floating_point() else value
        for name, value in total.items()
    }
