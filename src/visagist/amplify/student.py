"""The student: a small network for new styles, started from one that knows faces.

The trunk of the bundled network has seen lips, lids, light and glasses; only its head has to learn
what is new. So a style of one's own takes minutes, needs none of the old styles' data, and cannot
harm them: it becomes a network in a folder of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from visagist.errors import DataError, ModelDamagedError
from visagist.makeup.config import MakeupNetworkConfig, MakeupTrainingConfig
from visagist.makeup.training import MakeupRecipe, MakeupTask
from visagist.runtime.store import open_model
from visagist.training.augmentation import (
    AugmentConfig,
    DefectConfig,
    GeometricConfig,
    PhotometricConfig,
)
from visagist.training.loop import LoopConfig, best_device
from visagist.training.loop import train as run_loop
from visagist.training.run import WEIGHTS, write_run

START = "makeup-tiny"
"""The network that a student starts from."""

AUGMENT = AugmentConfig(
    geometric=GeometricConfig(roll=3.0, scale=0.025, shift=3.0 / 256),
    photometric=PhotometricConfig(strength=0.6),
    degraded=0.3,
    blur=DefectConfig(share=0.5),
    noise=DefectConfig(share=0.5),
    jpeg=DefectConfig(share=0.5),
)
"""The disturbances of ``recipes/makeup-tiny.yaml``."""

Progress = Callable[[int, Mapping[str, float]], None]


def student_recipe(
    styles: Sequence[str],
    *,
    steps: int,
    seed: int = 0,
    start: str = START,
    styles_per_face: int = 3,
    augment: AugmentConfig = AUGMENT,
    scratch: bool = False,
) -> MakeupRecipe:
    """The recipe of a student: the network and the weights of losses as the start was trained with.

    Args:
        styles: names, in the order of the targets.
        steps: of training.
        seed: of the run.
        start: name or folder of the makeup model whose shape the student has.
        styles_per_face: styles that a face is shown with; one pass through the trunk serves them.
        augment: disturbances of the faces.
        scratch: it begins from random weights, and the start only gives the shape. Then the rate is
            higher, and no shift of a picture is compared: an empty residual is the easiest one to
            move along, and with that term a student paints nothing for the first thousand steps.

    Raises:
        ModelError: the start is missing, damaged, or no makeup model.
    """
    known = {k: v for k, v in _start_config(start).items() if k in MakeupNetworkConfig.model_fields}
    try:
        network = MakeupNetworkConfig.model_validate({**known, "styles": tuple(styles)})
    except ValidationError as error:
        raise ModelDamagedError(f"{start}: its config.json is no makeup network's") from error
    return MakeupRecipe(
        network=network,
        training=MakeupTrainingConfig(
            batch=16,
            styles_per_face=min(styles_per_face, len(styles)),
            shift_consistency=0.0 if scratch else 2.0,
            protect=4.0,
            consistency_share=0.125,
        ),
        augment=augment,
        loop=LoopConfig(
            seed=seed,
            steps=steps,
            lr=1e-2 if scratch else 2e-3,
            warmup=max(1, min(50, steps // 10)),
            log_every=max(1, min(50, steps // 10)),
            validate_every=max(1, steps // 4),
            checkpoint_every=max(1, min(200, steps // 4)),
        ),
    )


def start_state(styles: int, start: str = START) -> dict[str, Tensor]:
    """Weights of a model with rows for other styles: each begins as the mean of the known ones.

    The head is linear in the style's code, so the mean row paints the mean of what it has learned.

    Args:
        styles: how many.
        start: name or folder of a makeup model.

    Raises:
        ModelError: it is missing, damaged, or no makeup model.
    """
    files = open_model(start)
    try:
        state = load(files.read(WEIGHTS))
        for name in ("head", "bias"):
            rows = state[name].mean(0, keepdim=True)
            state[name] = rows.expand(styles, *rows.shape[1:]).clone()
    except (SafetensorError, KeyError) as error:
        raise ModelDamagedError(
            f"{files.path}: no makeup network to start from ({error})"
        ) from error
    return state


def train_student(
    recipe: MakeupRecipe,
    targets: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    run: Path,
    *,
    zoom: float,
    strengths: NDArray[np.float32] | None = None,
    start: str | None = START,
    workers: int = 1,
    device: torch.device | None = None,
    progress: Progress = lambda step, numbers: None,
) -> Path:
    """Train a student, or go on with it where it was stopped.

    Args:
        recipe: from :func:`student_recipe`; the same one when a run goes on.
        targets: (N, 1 + styles, H, W, 3) uint8 bare face and the face in each style.
        held_out: the same of other people, for the log.
        run: folder for log, checkpoints and weights.
        zoom: field of view of the targets in canonical crops.
        strengths: (N, styles) how much of its style each target wears; 1 by default.
        start: name or folder of the model to start from; random weights when ``None``.
        workers: threads that prepare batches.
        device: where to train; the GPU where there is one by default.
        progress: called with the step and the numbers of each line of the log.

    Returns:
        ``run``, ready for :func:`visagist.deploy.export.export_makeup`.

    Raises:
        DataError: targets and recipe do not have the same styles.
        ModelError: the start cannot be used.
    """
    names = recipe.network.styles
    if targets.shape[1] != 1 + len(names) or held_out.shape[1] != 1 + len(names):
        raise DataError(
            f"targets of {targets.shape[1] - 1} and {held_out.shape[1] - 1} styles for a network "
            f"with {len(names)}"
        )
    task = MakeupTask(
        recipe,
        targets,
        held_out,
        zoom=zoom,
        device=device or best_device(),
        workers=workers,
        strengths=strengths,
        start=None if start is None else start_state(len(names), start),
    )
    model = run_loop(task, recipe.loop, run, resume=True, progress=progress)
    write_run(run, model, recipe)
    return run


def steps_per_second(recipe: MakeupRecipe, targets: NDArray[np.uint8], *, steps: int = 6) -> float:
    """How fast a student of this recipe trains on this machine, from a few steps thrown away.

    Args:
        recipe: from :func:`student_recipe`.
        targets: some, to make batches from.
        steps: that are timed, after two that are not.
    """
    device = best_device()
    task = MakeupTask(recipe, targets, targets[:1], zoom=recipe.data.zoom, device=device, workers=1)
    optimiser = torch.optim.AdamW(task.network.parameters(), lr=1e-4)
    task.network.train()
    began = 0.0
    for step in range(min(2 + steps, recipe.loop.steps)):
        if step <= 2:
            began = time.perf_counter()
        generator = torch.Generator(device).manual_seed(step)
        optimiser.zero_grad(set_to_none=True)
        loss = torch.stack(list(task.losses(task.network, step, generator).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    timed = max(1, min(2 + steps, recipe.loop.steps) - 2)
    return timed / max(1e-6, time.perf_counter() - began)


def stacked(sets: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pair sets of the same faces, one a style, as targets of one network.

    Args:
        sets: each (N, 2, H, W, 3), bare faces and made-up faces.

    Returns:
        (N, 1 + styles, H, W, 3).

    Raises:
        DataError: there is none, or their bare faces are not the same.
    """
    if not sets:
        raise DataError("there is no pair set to learn from")
    bare = sets[0][:, :1]
    if any(not np.array_equal(bare, other[:, :1]) for other in sets[1:]):
        raise DataError("pair sets are stacked as styles only when they are of the same faces")
    return np.concatenate([bare, *(one[:, 1:] for one in sets)], 1)


def _start_config(start: str) -> Mapping[str, object]:
    files = open_model(start)
    if files.config.get("kind") != "makeup":
        raise ModelDamagedError(f"{files.path} is no makeup model; a student starts from one")
    return files.config
