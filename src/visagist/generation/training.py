"""The three trainings of the generator, from a recipe to a folder with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, RootModel
from torch import Tensor, nn

from visagist.errors import ConfigError, DataError
from visagist.generation.autoguidance import (
    Autoguidance,
    open_autoguidance,
    opened_network,
)
from visagist.generation.config import ConsistencyRecipe, DiffusionRecipe, PretrainRecipe
from visagist.generation.data import FEWEST, Pictures, open_pictures
from visagist.generation.diffusion import DiffusionTask
from visagist.generation.network import GeneratorNetwork, PretrainNetwork
from visagist.generation.one_step import ConsistencyTask
from visagist.generation.pretrain import PretrainTask
from visagist.generation.task import GeneratorTask, network_of
from visagist.training.checkpoint import load_latest
from visagist.training.loop import train as run_loop
from visagist.training.parallel import joined_processes
from visagist.training.run import load_weights, read_recipe, read_run, write_run

Recipe = PretrainRecipe | DiffusionRecipe | ConsistencyRecipe


class AnyRecipe(RootModel[Annotated[Recipe, Field(discriminator="stage")]]):
    """A recipe of any of the three stages, told apart by ``stage``."""


def train(
    recipe: Path,
    *,
    data: Sequence[Path],
    output: Path,
    start: Path | None = None,
    encoder: Path | None = None,
    poorer: Path | None = None,
    teacher: Path | None = None,
    cache: Path | None = None,
    resume: bool = False,
    building: Callable[[int, int], None] = lambda done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train one stage of a generator.

    Started by ``torchrun``, every process calls this with the same arguments.

    Args:
        recipe: ``recipes/generator-*.yaml`` or another.
        data: corpora, or one folder of class folders.
        output: folder for log, checkpoints and final weights.
        start: finished run that the weights come from: stage 1, of which the encoder is taken, or
            stage 2 of the same network. Without one, stage 2 learns from scratch.
        encoder: finished run of stage 1 for the auxiliary loss; ``start`` by default where that is
            a stage-1 run.
        poorer: finished run of the same network that has learned less, for a recipe with guidance.
        teacher: finished diffusion run of the same network whose trajectories a recipe that distils
            follows; ``start`` by default where that is one.
        cache: folder for decoded faces; ``output``'s own by default.
        resume: go on from the last checkpoint in ``output``.
        building: called with pictures done and in all while a cache is written.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for export.
    """
    settings = read_recipe(recipe, AnyRecipe).root
    with joined_processes() as device:

        def opened(split: str) -> Pictures:
            return open_pictures(
                data,
                settings.data,
                side=settings.network.image_size,
                cache=cache or output / "cache",
                split=split,
                device=device,
                progress=building,
            )

        task = make_task(
            settings,
            pictures=opened("train"),
            held_out=opened("validation"),
            device=device,
            start=start,
            encoder=encoder,
            poorer=poorer,
            teacher=teacher,
        )
        model = run_loop(task, settings.loop, output, resume=resume, progress=progress)
        write_run(output, model, settings)
    return output


def make_task(
    recipe: Recipe,
    *,
    pictures: Pictures,
    held_out: Pictures | None,
    device: torch.device,
    start: Path | None = None,
    encoder: Path | None = None,
    poorer: Path | None = None,
    teacher: Path | None = None,
) -> PretrainTask | DiffusionTask | ConsistencyTask:
    """The task of a recipe, its networks filled from finished runs; see :func:`train`.

    Raises:
        ConfigError: the recipe does not fit the pictures or the runs.
        DataError: there are too few pictures, or a run is not there or of another network.
    """
    if len(pictures.weights) < FEWEST:
        raise DataError(
            f"{len(pictures.weights)} pictures are too few to learn from; give at least {FEWEST}"
        )
    classes = 0 if pictures.labels is None else int(pictures.labels.max()) + 1
    if classes > recipe.network.classes > 0:
        raise ConfigError(
            f"the pictures have {classes} classes, network.classes is {recipe.network.classes}"
        )
    if isinstance(recipe, PretrainRecipe):
        task = PretrainTask(recipe, pictures=pictures, held_out=held_out, device=device)
        if start is not None:
            _, weights = read_run(start, PretrainRecipe)
            load_weights(task.network, weights, start)
            task.teacher.load_state_dict(task.network.state_dict())
        return task
    network = network_of(recipe, device)
    if start is not None:
        _begin_from(network, start)
    if isinstance(recipe, DiffusionRecipe):
        guide = _guide(recipe, start, poorer, device)
        return DiffusionTask(recipe, network, pictures=pictures, held_out=held_out, guide=guide)
    frozen = None
    if recipe.consistency.auxiliary > 0:
        source = encoder or start
        if source is not None and stage_of(source) == "pretrain":
            frozen = _pretrained(source, device)
    return ConsistencyTask(
        recipe,
        network,
        pretrained=frozen,
        pictures=pictures,
        held_out=held_out,
        teacher=_teacher(recipe, teacher or start, device),
    )


def stage_of(run: Path) -> str:
    """Stage of a finished run: pretrain, diffusion or consistency.

    Raises:
        DataError: the folder holds no finished run of a generator.
    """
    recipe, _ = read_run(run, AnyRecipe)
    return recipe.root.stage


def _guide(
    recipe: DiffusionRecipe, start: Path | None, poorer: Path | None, device: torch.device
) -> Autoguidance | None:
    if recipe.diffusion.guidance is None and poorer is None:
        return None
    if start is None or poorer is None:
        raise ConfigError(
            "diffusion.guidance needs two finished runs: --start, which is guided, and --poorer"
        )
    return open_autoguidance(recipe, start, poorer, device)


def _teacher(
    recipe: ConsistencyRecipe, run: Path | None, device: torch.device
) -> GeneratorNetwork | None:
    if not recipe.consistency.distil or run is None or stage_of(run) != "diffusion":
        return None
    return opened_network(recipe.network, run).to(device)


def _begin_from(network: GeneratorNetwork, run: Path) -> None:
    recipe, weights = read_run(run, AnyRecipe)
    part: nn.Module = network
    if recipe.root.stage == "pretrain":
        part, weights = network.encoder, _below(weights, "encoder.")
    elif network.condition is not None and not recipe.root.network.source:
        # channels that the earlier network did not have start at zero
        weights = weights | {
            f"condition.{name}": value for name, value in network.condition.state_dict().items()
        }
    load_weights(part, weights, run)


def _pretrained(run: Path, device: torch.device) -> PretrainNetwork:
    recipe, weights = read_run(run, PretrainRecipe)
    network = PretrainNetwork(recipe.network, recipe.pretrain)
    load_weights(network, weights, run)
    return network.to(device).eval()


def _below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def load_generator(
    run: Path, weights: Mapping[str, Tensor] | None = None, *, recipe: Path | None = None
) -> tuple[DiffusionRecipe | ConsistencyRecipe, GeneratorNetwork]:
    """The network of a stage-2 run, in evaluation mode.

    Args:
        run: its folder.
        weights: others than the run's own, such as an average found afterwards
            (:func:`visagist.training.averages.average_afterwards`).
        recipe: of a run that is not finished, or was stopped: the average of its newest checkpoint
            is taken.

    Raises:
        DataError: it is no finished run of stage 2, or has no checkpoint.
    """
    if recipe is None:
        finished, own = read_run(run, AnyRecipe)
        settings = finished.root
    else:
        settings = read_recipe(recipe, AnyRecipe).root
        own = dict(weights) if weights is not None else _newest_average(run)
    if isinstance(settings, PretrainRecipe):
        raise DataError(f"{run}: stage 1 makes no pictures; train diffusion or consistency")
    network = GeneratorNetwork(settings.network)
    load_weights(network, dict(own if weights is None else weights), run)
    return settings, network.eval()


def _newest_average(run: Path) -> dict[str, Tensor]:
    found = load_latest(run / "checkpoints")
    if found is None:
        raise DataError(f"{run}: no checkpoint here; `visagist train generator` writes them")
    average: dict[str, Tensor] = found[1]["ema"]
    return average


__all__ = ["AnyRecipe", "GeneratorTask", "load_generator", "make_task", "stage_of", "train"]
