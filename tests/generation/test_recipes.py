from __future__ import annotations

from pathlib import Path

import pytest

from visagist.generation.config import ConsistencyRecipe, DiffusionRecipe, PretrainRecipe
from visagist.generation.network import parameter_count
from visagist.generation.training import AnyRecipe
from visagist.training.loop import learning_rate
from visagist.training.parallel import Part
from visagist.training.run import read_recipe

ROOT = Path(__file__).resolve().parents[2] / "recipes"
FACES, PUBLISHED = sorted(ROOT.glob("generator-*.yaml")), sorted((ROOT / "epg").glob("*.yaml"))


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", FACES + PUBLISHED, ids=name)
def test_recipes_are_whole(path):
    recipe = read_recipe(path, AnyRecipe).root
    assert path.stem.endswith(recipe.stage)
    batch = getattr(recipe, recipe.stage).batch
    assert len(Part(0, 1).cut(batch, block=recipe.data.block)) == batch
    assert learning_rate(recipe.loop.steps, recipe.loop) < 0.2 * recipe.loop.lr


@pytest.mark.parametrize("path", FACES, ids=name)
def test_face_recipes_use_what_may_teach_generation(path):
    recipe = read_recipe(path, AnyRecipe).root
    assert recipe.data.faces.use == "generation"
    assert {"FLUX1_dev", "FLUX1_pro", "DALLE3"} <= set(recipe.data.faces.without_generators)
    assert recipe.data.shares["faces_easy"] <= 0.1
    if isinstance(recipe, PretrainRecipe):  # makeup is colour
        assert recipe.pretrain.views.jitter[2:] == (0, 0)
        assert recipe.pretrain.views.crop[0] >= 0.5


def test_the_stages_of_a_size_fit_each_other():
    stages = {path.stem: read_recipe(path, AnyRecipe).root for path in FACES}
    for key, recipe in stages.items():
        base = key.removesuffix(recipe.stage)
        base = base.removesuffix("guided-").removesuffix("distilled-")
        first = stages[f"{base}pretrain"].network
        assert recipe.network.model_copy(update={"dropout": 0.0}) == first


@pytest.mark.parametrize("path", PUBLISHED, ids=name)
def test_published_recipes_are_for_eight_processes(path):
    recipe = read_recipe(path, AnyRecipe).root
    batch = getattr(recipe, recipe.stage).batch
    assert batch == 1024
    assert len(Part(7, 8).cut(batch, block=recipe.data.block)) == 128
    assert recipe.network.classes == 1000


def test_published_numbers():
    diffusion = read_recipe(ROOT / "epg" / "xl-256-diffusion.yaml", AnyRecipe).root
    assert isinstance(diffusion, DiffusionRecipe)
    assert diffusion.diffusion.label_drop == 0.1
    assert (diffusion.diffusion.log_mean, diffusion.diffusion.log_std) == (-1.2, 1.6)
    assert diffusion.loop.ema_decay == 0.9999
    # 800 epochs of ImageNet's 1 281 167 pictures
    assert diffusion.loop.steps * 1024 / 1_281_167 == pytest.approx(800, rel=1e-2)
    one = read_recipe(ROOT / "epg" / "l-256-consistency.yaml", AnyRecipe).root
    assert isinstance(one, ConsistencyRecipe)
    rates = [learning_rate(step, one.loop) for step in (0, 399_999, 400_000, 500_000)]
    assert rates == [1e-4, 1e-4, 3e-5, 8e-6]
    assert one.consistency.huber == 0.06
    assert parameter_count(one.network) == pytest.approx(540e6, rel=5e-3)
