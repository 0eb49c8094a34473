from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.makeup.model_folder import small_recipe
from visagist.deploy.export import export_makeup
from visagist.errors import InputError
from visagist.makeup.learned import BUNDLED, learned_styles, model_for, style_name_taken
from visagist.makeup.network import MakeupNetwork
from visagist.runtime.manifest import write_manifest
from visagist.training.run import write_run


def write_style(store: Path, name: str, *styles: str) -> Path:
    """A makeup model of a user's store."""
    torch.manual_seed(0)
    recipe = small_recipe()
    network = recipe.network.model_copy(update={"styles": styles or (name,)})
    recipe = recipe.model_copy(update={"network": network})
    run = store.parent / f"run-{name}"
    write_run(run, MakeupNetwork(network), recipe)
    (run / "log.jsonl").write_text('{"step": 1}\n')
    export_makeup(run, store / name)
    return store / name


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("home")
    write_style(root / "models", "mine")
    write_style(root / "models", "several", "dawn", "dusk", "smoky")
    other = write_style(root / "models", "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"kind": "face-mesh"}))
    write_manifest(other, name="other", version="1", licence="MIT", created_by="a test")
    broken = write_style(root / "models", "broken")
    (broken / "model.onnx").write_bytes(b"x")
    (root / "models" / "notes.txt").write_text("not a model")
    # what an installation leaves that was killed
    shutil.copytree(root / "models" / "mine", root / "models" / ".mine-half")
    return root


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(home))


def test_styles_of_the_store_are_found_and_damaged_ones_passed_over(home):
    found = learned_styles()
    assert list(found) == ["dawn", "dusk", "mine"]
    assert found["dusk"].model == home / "models" / "several"
    assert found["mine"].model == home / "models" / "mine"


def test_without_a_store_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "nowhere"))
    assert learned_styles() == {}


def test_the_model_of_a_style(home):
    assert model_for({"rosewood": 1.0}) == BUNDLED
    assert model_for({"nonsense": 1.0}) == BUNDLED  # which then says what there is
    assert model_for({"mine": 1.0}) == home / "models" / "mine"
    assert model_for({"dawn": 0.5, "dusk": 0.5}) == home / "models" / "several"
    # a style of the package is never another one of the store
    assert model_for({"smoky": 1.0}) == BUNDLED


@pytest.mark.parametrize("mix", [{"mine": 1.0, "rosewood": 1.0}, {"mine": 1.0, "dawn": 1.0}])
def test_styles_of_different_networks_do_not_mix(mix):
    with pytest.raises(InputError, match="cannot be mixed"):
        model_for(mix)


def test_which_names_are_taken(home):
    assert style_name_taken("new") == ""
    assert "comes with visagist" in style_name_taken("smoky")
    assert "comes with visagist" in style_name_taken("makeup-tiny")
    assert style_name_taken("mine").startswith("in the store")
    assert style_name_taken("broken").startswith("in the store")
    assert style_name_taken("other").startswith("another kind of model")
    assert str(home / "models" / "several") in style_name_taken("dawn")
