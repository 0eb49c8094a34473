from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from tests.corpus.labelled_tree import placed_face, write_tree
from visagist.corpus.pack import pack_for_training
from visagist.deploy.export import export_mesh
from visagist.errors import ConfigError
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.mesh.training import MeshRecipe, MeshTask, train
from visagist.face.types import Detection
from visagist.training.loop import train as run_loop
from visagist.training.run import RECIPE, WEIGHTS, read_run


def recipe(**loop: object) -> dict[str, object]:
    """Rolled faces without defects: what a tiny network can learn in a few seconds."""
    return {
        "data": {"folders": ["portraits"], "size": 128, "zoom": 2.0},
        "network": {
            "input_size": 64, "widths": [16, 16, 32, 32], "depths": [0, 0, 0, 0],
            "squeeze": 16, "hidden": 64,
        },
        "training": {"batch": 8, "calm": 0.0, "negatives": 0.0},
        "augment": {"geometric": {"roll": 35.0, "scale": 0.15, "shift": 0.08}},
        "loop": {"lr": 3e-3, "warmup": 10, "ema_gamma": 4.0} | loop,
    }  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    splits = {f"{n}.png": "train" for n in range(12)}
    splits |= {f"v{n}.png": "validation" for n in range(6)}
    return write_tree(tmp_path_factory.mktemp("mesh") / "tree", splits)


def test_it_learns_on_drawn_faces(tree, tmp_path):
    settings = MeshRecipe.model_validate(recipe(steps=80))
    pack = pack_for_training(tree, tmp_path / "pack.npz", settings.data)
    task = MeshTask(settings, pack, torch.device("cpu"))
    before = task.validate(task.model.eval())  # the mean face, as the last layer starts near 0
    after = task.validate(run_loop(task, settings.loop, tmp_path / "run"))
    assert before.keys() == after.keys()
    assert after["roll30_median"] < 0.6 * before["roll30_median"]
    assert after["upright_median"] < before["upright_median"]


def test_a_recipe_becomes_a_model(tree, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(steps=2)))
    seen = []
    out = train(
        path,
        data=tree,
        output=tmp_path / "run",
        progress=lambda step, numbers: seen.append((step, set(numbers))),
    )
    assert (out / WEIGHTS).is_file()
    assert (out / RECIPE).is_file()
    assert (out / "pack.npz").is_file()
    assert read_run(out, MeshRecipe)[0] == MeshRecipe.model_validate(recipe(steps=2))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [step for step, _ in seen] == [line["step"] for line in log] == [2, 2]
    assert {"points", "confidence"} <= set(log[0])
    assert {"val_upright_median", "val_roll30_median", "val_occluded_median"} <= set(log[1])

    export_mesh(out, tmp_path / "model")
    pixels, mesh = placed_face(0)
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    predictor = MeshPredictor.from_pretrained(tmp_path / "model")
    found, confidence = predictor.predict(pixels, Detection(box, 1.0))
    assert (found.shape, found.dtype) == ((478, 3), np.float32)
    assert 0 <= confidence <= 1
    eyes = np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    assert np.median(np.linalg.norm((found - mesh)[:, :2], axis=1)) < 0.5 * eyes

    with pytest.raises(ConfigError, match="already holds a run"):
        train(path, data=tree, output=out)
    assert train(path, data=tree, output=out, resume=True) == out


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [("training", "batch", 0), ("network", "input_size", "big"), ("loop", "no_such_knob", 1)],
)
def test_a_wrong_field_is_named(tree, tmp_path, section, field, value):
    wrong = recipe(steps=2)
    wrong[section] = wrong[section] | {field: value}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(wrong))
    with pytest.raises(ConfigError, match=rf"{section}\.{field}"):
        train(path, data=tree, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
