from __future__ import annotations

import pytest
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from visagist.errors import ConfigError, DataError
from visagist.training.run import load_weights, read_recipe, read_run, write_run


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widht: 3", "widht"),
        ("width: wide", "width"),
        ("width: [", "not YAML"),
        (b"\xff\xfe\x00", "not a text file"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_recipe_names_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        read_recipe(path, Recipe)


def test_a_run_comes_back(tmp_path):
    model = nn.Linear(4, 2)
    write_run(tmp_path, model, Recipe(width=7))
    recipe, weights = read_run(tmp_path, Recipe)
    assert recipe.width == 7
    other = nn.Linear(4, 2)
    load_weights(other, weights, tmp_path)
    assert torch.equal(other.weight, model.weight)
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(DataError, match="do not fit"):
        load_weights(nn.Linear(5, 2), weights, tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="no finished run"):
        read_run(tmp_path, Recipe)
    (tmp_path / "recipe.json").write_text('{"height": 3}')
    with pytest.raises(DataError, match="not the recipe"):
        read_run(tmp_path, Recipe)
