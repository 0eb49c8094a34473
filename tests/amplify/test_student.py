from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.amplify.pairs import look
from tests.makeup.model_folder import write_makeup_model
from visagist.amplify.student import (
    START,
    stacked,
    start_state,
    steps_per_second,
    student_recipe,
    train_student,
)
from visagist.errors import DataError, ModelDamagedError, ModelMissingError
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.runtime.manifest import write_manifest
from visagist.training.run import read_run


def small_targets(count: int) -> np.ndarray:
    """(count, 2, 288, 288, 3): drawn pairs with a rim."""
    out = np.zeros((count, 2, 288, 288, 3), np.uint8)
    for i in range(count):
        pair = look(i)
        for j, picture in enumerate((pair.before, pair.after)):
            out[i, j] = np.pad(picture, ((16, 16), (16, 16), (0, 0)), mode="edge")
    return out


def test_a_new_style_starts_as_the_mean_of_the_known_ones():
    old = start_state(10)
    recipe = student_recipe(["a", "b"], steps=5)
    network = MakeupNetwork(recipe.network)
    network.load_state_dict(start_state(2))
    mean = MakeupNetwork(recipe.network.model_copy(update={"styles": tuple("abcdefghij")}))
    mean.load_state_dict(old)
    assert torch.equal(network.head[0], network.head[1])
    face = torch.rand(1, 3, 256, 256) * 2 - 1
    code = torch.full((1, 10), 0.1)
    network.eval(), mean.eval()
    with torch.no_grad():
        assert torch.allclose(network(face, torch.tensor([[1.0, 0]])), mean(face, code), atol=1e-5)


def test_a_style_of_ones_own_is_a_tiny_network():
    network = MakeupNetwork(student_recipe(["mine"], steps=5).network)
    assert sum(p.numel() for p in network.parameters()) <= 80_000


def test_from_random_weights_the_rate_is_higher_and_no_shift_is_compared():
    known, scratch = (student_recipe(["a"], steps=9, scratch=s) for s in (False, True))
    assert scratch.loop.lr > known.loop.lr
    assert (known.training.shift_consistency, scratch.training.shift_consistency) == (2.0, 0.0)
    assert scratch.network == known.network


def test_a_start_of_another_kind_is_refused():
    with pytest.raises(ModelMissingError):
        student_recipe(["mine"], steps=5, start="nothing")


def test_a_start_with_a_broken_config_is_refused(tmp_path):
    folder = write_makeup_model(tmp_path / "start", idle=True)
    config = json.loads((folder / "config.json").read_text()) | {"width": "wide"}
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder, name="start", version="1", licence="x", created_by="x")
    with pytest.raises(ModelDamagedError, match="makeup network"):
        student_recipe(["mine"], steps=5, start=str(folder))


def test_it_learns_a_style_in_few_steps_and_goes_on_exactly(tmp_path):
    start = str(write_makeup_model(tmp_path / "start", idle=True))
    targets, held_out = small_targets(4), small_targets(6)[4:]
    strengths = np.array([[1.0], [0.5], [1.0], [0.8]], np.float32)
    recipe = student_recipe(["mine"], steps=24, start=start)
    recipe = recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"batch": 2}),
            "loop": recipe.loop.model_copy(update={"checkpoint_every": 8, "lr": 6e-3}),
        }
    )

    def run(folder: str, *, stop: int = 0) -> dict[str, torch.Tensor]:
        def progress(step: int, numbers: object) -> None:
            if stop and step >= stop:
                raise KeyboardInterrupt

        out = train_student(
            recipe,
            targets,
            held_out,
            tmp_path / folder,
            zoom=1.125,
            strengths=strengths,
            start=start,
            progress=progress,
        )
        return read_run(out, MakeupRecipe)[1]

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", stop=14)
    again = run("broken")
    assert all(torch.equal(again[name], value) for name, value in whole.items())
    assert not torch.equal(whole["head"], start_state(1, start)["head"])


def test_targets_of_other_styles_are_refused(tmp_path):
    recipe = student_recipe(["a", "b"], steps=5)
    with pytest.raises(DataError, match="with 2"):
        train_student(recipe, small_targets(1), small_targets(1), tmp_path, zoom=1.125)


def test_pair_sets_of_the_same_faces_are_stacked():
    one = small_targets(2)
    other = one.copy()
    other[:, 1] //= 2
    both = stacked([one, other])
    assert both.shape == (2, 3, 288, 288, 3)
    assert np.array_equal(both[:, 2], other[:, 1])
    with pytest.raises(DataError, match="same faces"):
        stacked([one, other[::-1]])
    with pytest.raises(DataError):
        stacked([])


def test_speed_is_a_number_of_this_machine():
    recipe = student_recipe(["mine"], steps=3, start=START)
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch": 1})})
    assert steps_per_second(recipe, small_targets(1), steps=1) > 0
