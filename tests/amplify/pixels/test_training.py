import json

import numpy as np
import pytest
import torch

from tests.amplify.pixels.small import small_recipe
from tests.amplify.pixels.test_examples import people
from visagist.amplify.pixels.config import AmplifierRecipe, ExamplesConfig
from visagist.amplify.pixels.examples import CHANNELS, group_of_examples
from visagist.amplify.pixels.training import (
    AmplifierTask,
    levels,
    relit,
    run_loop,
    views,
    without_style,
)
from visagist.errors import ConfigError
from visagist.generation.network import GeneratorNetwork
from visagist.training.run import read_recipe


@pytest.fixture(scope="module")
def examples():
    config = ExamplesConfig(faces=4)
    return np.concatenate([group_of_examples(people(), config, i, margin=3) for i in range(3)])


def task(examples, **changes):
    torch.manual_seed(0)
    recipe = small_recipe(batch=8, **changes)
    return AmplifierTask(recipe, GeneratorNetwork(recipe.network), examples, examples)


def test_an_untrained_base_is_the_mesh_transfer(examples):
    found = task(examples).validate(task(examples).model)
    assert set(found) == {f"{k}{s}" for k in ("face", "eye", "lips") for s in ("_db", "_gain_db")}
    assert all(abs(found[f"{kind}_gain_db"]) < 1e-3 for kind in ("face", "eye", "lips"))


def test_a_short_training_gets_nearer_to_the_truth_than_the_mesh_transfer(examples, tmp_path):
    loop = {"steps": 60, "lr": 1e-2, "warmup": 5, "log_every": 20, "validate_every": 60}
    small = task(examples, loop=loop | {"checkpoint_every": 30, "ema_gamma": 3.0})
    model = run_loop(small, small.recipe.loop, tmp_path / "run")
    gain = small.validate(model)
    assert np.mean([gain[f"{kind}_gain_db"] for kind in ("face", "eye", "lips")]) > 0.05
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 60


def test_a_killed_run_ends_at_the_same_weights(examples, tmp_path):
    def loop(steps):
        common = {"steps": 6, "warmup": 2, "log_every": 1, "validate_every": 100}
        return small_recipe(loop=common | {"checkpoint_every": steps}).loop

    whole = run_loop(task(examples), loop(6), tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(step, numbers):
        if step == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_loop(task(examples), loop(3), tmp_path / "parts", progress=stop)
    again = run_loop(task(examples), loop(3), tmp_path / "parts", resume=True)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_windows_without_a_style_ask_for_nothing(examples):
    bare = without_style(examples[:, 0])
    for name in ("laid", "truth"):
        assert np.array_equal(bare[..., CHANNELS[name]], examples[:, 0, ..., CHANNELS["bare"]])
    assert not bare[..., CHANNELS["known"]].any()
    assert np.array_equal(bare[..., CHANNELS["room"]], examples[:, 0, ..., CHANNELS["room"]])


def test_light_changes_all_three_pictures_alike(examples):
    stored = examples[:4, 1]
    lit = relit(stored, np.random.default_rng(0), 0.2)
    # where no style is laid, nothing may look like makeup
    same = (stored[..., CHANNELS["bare"]] == stored[..., CHANNELS["truth"]]).all(-1)
    assert same.any()
    assert np.array_equal(lit[..., CHANNELS["bare"]][same], lit[..., CHANNELS["truth"]][same])
    assert np.array_equal(lit[..., CHANNELS["room"]], stored[..., CHANNELS["room"]])
    assert (lit != stored).any()


def test_the_network_sees_the_laid_style_as_its_source(examples):
    seen = views(examples[:2, 3], np.array([2, 2]), torch.device("cpu"))
    assert seen.condition.shape == (2, 9, 64, 64)
    assert torch.equal(seen.laid, seen.condition[:, :3])
    expected = examples[0, 3, 5, 7, CHANNELS["laid"]] / 127.5 - 1
    assert np.allclose(seen.laid[0, :, 5, 7].numpy(), expected, atol=1e-6)


def test_levels_are_within_their_range_and_often_at_the_start():
    config = small_recipe().levels
    drawn = levels(config, np.random.default_rng(0), 2000)
    assert drawn.min() >= config.least and drawn.max() == config.start
    assert 0.45 < (drawn == config.start).mean() < 0.55


def test_a_recipe_that_is_no_amplifier_names_the_field(tmp_path):
    path = tmp_path / "amplifier.yaml"
    path.write_text("data: {use: makeup}\nnetwork: {size: face-5m-64, hints: 2}\n")
    with pytest.raises(ConfigError, match="hints"):
        read_recipe(path, AmplifierRecipe)
