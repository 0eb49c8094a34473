"""Guidance by a poorer network, and its distillation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.generation.pictures import recipe, stored
from tests.generation.several import run
from tests.generation.small import network, small
from tests.training.test_parallel import log_of
from visagist.errors import ConfigError, DataError
from visagist.generation.autoguidance import Autoguidance, open_autoguidance
from visagist.generation.config import GuidanceConfig
from visagist.generation.denoise import NOTHING, clean_estimate, consistent_estimate
from visagist.generation.noise import SIGMA_MIN, shift
from visagist.generation.training import load_generator, make_task
from visagist.training.loop import train as run_loop
from visagist.training.parallel import Part
from visagist.training.run import write_run

CPU = torch.device("cpu")
LEAST = SIGMA_MIN * shift(16)
GUIDED = {"guidance": {"scale": 2.0, "above": 0.6}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs of many steps and of few."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps in (("good", 60), ("poor", 12)):
        run("diffusion", folder / name, steps=steps, lr=3e-3)
    return folder / "good", folder / "poor"


def guided_task(runs, **more):
    pictures = stored()
    start, poorer = runs
    return make_task(
        recipe("diffusion", **(GUIDED | more)), pictures=pictures, held_out=pictures, device=CPU,
        start=start, poorer=poorer,
    )  # fmt: skip


def test_it_steps_past_the_better_estimate_where_noise_is_high():
    good, poor, config = network(seed=1), network(seed=2), small()
    noisy = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    base = np.array([0.1, 0.59, 0.61, 20.0])
    sigma = base * shift(16)
    with torch.no_grad():
        a, b = (clean_estimate(n.eval(), config, noisy, sigma).double() for n in (good, poor))
    found = Autoguidance(good, poor, GuidanceConfig(scale=2.5, above=0.6))(
        config, noisy, base, sigma, NOTHING
    )
    wanted = torch.cat([a[:2], b[2:] + 2.5 * (a[2:] - b[2:])]).clamp(-1, 1)
    assert torch.allclose(found.double(), wanted, atol=1e-5)
    assert not torch.allclose(found[2:].double(), a[2:].clamp(-1, 1), atol=1e-3)


def test_a_student_learns_the_guided_estimate(runs, tmp_path):
    made = recipe(
        "diffusion", **GUIDED, loop={"steps": 150, "lr": 3e-3}, weight="velocity", log_mean=0.8
    )
    task = guided_task(runs, weight="velocity", log_mean=0.8)

    def distance(model):
        model.eval()
        batch = task.batches.draw(99, Part())
        base = np.linspace(1, 20, len(batch.image))
        sigma = base * shift(16)
        noisy = batch.image + torch.from_numpy(sigma).float().reshape(-1, 1, 1, 1) * torch.randn(
            batch.image.shape, generator=torch.Generator().manual_seed(1)
        )
        aim = guide(made.network, noisy, base, sigma, NOTHING)
        with torch.no_grad():
            return float((clean_estimate(model, made.network, noisy, sigma) - aim).square().mean())

    guide = open_autoguidance(made, *runs, CPU)
    before = distance(task.network)
    run_loop(task, made.loop, tmp_path)
    assert distance(task.network) < 0.6 * before
    assert log_of(tmp_path)[-1]["val_mse_80"] > 0


def test_without_guidance_there_is_nothing_to_learn(runs):
    task = guided_task(runs, guidance={"scale": 1.0})
    task.model.eval()
    loss = task.part_losses(task.model, 0, Part())["denoise"]
    plain = make_task(
        recipe("diffusion"), pictures=stored(), held_out=None, device=CPU, start=runs[0]
    )
    plain.model.eval()
    # what is left is only that the aim is clipped to the range of pictures
    other = plain.part_losses(plain.model, 0, Part())["denoise"]
    assert loss.item() < 0.05 * other.item()


def test_runs_that_do_not_fit_are_refused(runs):
    good, poor = runs

    def task(made, **more):
        return make_task(made, pictures=stored(), held_out=None, device=CPU, **more)

    for more in ({}, {"start": good}, {"poorer": poor}):
        with pytest.raises(ConfigError, match="two finished runs"):
            task(recipe("diffusion", **GUIDED), **more)
    with pytest.raises(ConfigError, match="guidance is not set"):
        task(recipe("diffusion"), start=good, poorer=poor)
    with pytest.raises(DataError, match="no finished run"):
        task(recipe("diffusion", **GUIDED), start=good, poorer=poor / "nothing")
    other = recipe("diffusion", network={"decoder_width": 64}, **GUIDED)
    with pytest.raises(DataError, match="not that of the recipe"):
        open_autoguidance(other, good, poor, CPU)
    with pytest.raises(ConfigError, match="distil needs"):
        task(recipe("consistency", auxiliary=0, distil=True))


def test_distilled_consistency_follows_the_teacher(runs, tmp_path):
    """With Euler's step of a teacher that knows the picture, the two kinds of training are one."""
    made = recipe(
        "consistency", auxiliary=0, distil=True, stage_steps=30, log_mean=0.5,
        loop={"steps": 60, "lr": 2e-3, "validate_every": 60, "ema_gamma": 6.0},
    )  # fmt: skip
    pictures = stored()
    task = make_task(made, pictures=pictures, held_out=pictures, device=CPU, start=runs[0])
    image, eps = torch.rand(5, 3, 16, 16), torch.randn(5, 3, 16, 16)
    t, r = np.linspace(0.5, 4, 5), np.linspace(0.1, 3, 5)
    noisy = image + torch.from_numpy(t).float().reshape(-1, 1, 1, 1) * eps
    clean = clean_estimate(task._teacher, made.network, noisy, t)
    found = task._cleaner(image, eps, noisy, (t, r), NOTHING)
    slope = (noisy - clean) / torch.from_numpy(t).float().reshape(-1, 1, 1, 1)
    wanted = noisy + torch.from_numpy(r - t).float().reshape(-1, 1, 1, 1) * slope
    assert torch.allclose(found, wanted, atol=1e-5)

    def off(model):
        """Distance of one jump from where the teacher's trajectory ends."""
        at = image * 2 - 1 + 3 * eps
        grid = np.geomspace(3.0, LEAST, 60)
        end = at
        with torch.no_grad():
            for high, low in itertools.pairwise(grid):
                there = clean_estimate(task._teacher, made.network, end, np.full(5, high))
                end = there + (low / high) * (end - there)
            jump = consistent_estimate(model.eval(), made.network, at, np.full(5, 3.0))
        return float((jump - end).square().mean())

    before = off(task.network)
    model = run_loop(task, made.loop, tmp_path)
    assert off(model) < 0.7 * before
    # and goes on from there, behind the same teacher
    write_run(tmp_path, model, made)
    with pytest.raises(ConfigError, match="--teacher"):
        make_task(made, pictures=pictures, held_out=None, device=CPU, start=tmp_path)
    further = make_task(
        made, pictures=pictures, held_out=None, device=CPU, start=tmp_path, teacher=runs[0]
    )
    for name, weights in further.network.state_dict().items():
        assert torch.equal(weights, model.state_dict()[name])
    for name, weights in further._teacher.state_dict().items():
        assert torch.equal(weights, task._teacher.state_dict()[name])


def test_a_finished_guided_run_is_a_plain_generator(runs, tmp_path):
    task = guided_task(runs)
    made = recipe("diffusion", **GUIDED)
    write_run(tmp_path, run_loop(task, made.loop, tmp_path), made)
    settings, _ = load_generator(tmp_path)
    assert settings.diffusion.guidance == GuidanceConfig(scale=2.0, above=0.6)
