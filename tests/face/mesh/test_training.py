from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from tests.corpus.labelled_tree import placed_face
from tests.corpus.small_corpus import drawn_corpus
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import cached_faces
from visagist.corpus.feed.selection import select_faces
from visagist.corpus.feed.stream import ShardStream
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
        "data": {"use": "mesh", "size": 128, "zoom": 2.0},
        "network": {
            "input_size": 64, "widths": [16, 16, 32, 32], "depths": [0, 0, 0, 0],
            "squeeze": 16, "hidden": 64,
        },
        "training": {"batch": 8, "calm": 0.0, "negatives": 0.0},
        "augment": {"geometric": {"roll": 35.0, "scale": 0.15, "shift": 0.08}},
        "loop": {"lr": 3e-3, "warmup": 10, "ema_gamma": 4.0} | loop,
    }  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return drawn_corpus(tmp_path_factory.mktemp("mesh") / "corpus", train=12, validation=6)


def task_of(corpus, cache, *, workers: int = 1, buffer: int = 0, **loop: object) -> MeshTask:
    settings = MeshRecipe.model_validate(recipe(**loop))
    opened = Corpus.open(corpus)
    faces = cached_faces(opened, settings.data, cache)
    train_on = faces.subset("train")
    if buffer:
        records = select_faces(opened, settings.data, ("train",))
        train_on = ShardStream(opened, records, settings.data, buffer=buffer)
    held_out = faces.subset("validation")
    return MeshTask(settings, train_on, held_out, torch.device("cpu"), workers=workers)


def test_it_learns_on_drawn_faces(corpus, tmp_path):
    task = task_of(corpus, tmp_path, steps=80)
    before = task.validate(task.model.eval())  # the mean face, as the last layer starts near 0
    after = task.validate(run_loop(task, task.recipe.loop, tmp_path / "run"))
    assert before.keys() == after.keys()
    assert after["roll30_median"] < 0.6 * before["roll30_median"]
    assert after["upright_median"] < before["upright_median"]


@pytest.mark.parametrize("buffer", [0, 5], ids=["cached", "streamed"])
def test_batches_do_not_depend_on_the_workers(corpus, tmp_path, buffer):
    """Nor on where a run goes on: a step's batch is a function of the seed and the step."""
    alone, one, three = (
        task_of(corpus, tmp_path, workers=w, buffer=buffer, steps=9) for w in (0, 1, 3)
    )
    seen = []
    for step in (0, 1, 2, 3, 7, 8, 2):
        batches = [task._batches[step] for task in (alone, one, three)]
        assert torch.equal(batches[0].image, batches[1].image)
        assert torch.equal(batches[0].image, batches[2].image)
        assert torch.equal(batches[0].mesh, batches[2].mesh)
        seen.append(batches[0].image)
    assert torch.equal(seen[2], seen[-1])
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("buffer", [0, 4], ids=["cached", "streamed"])
def test_a_stopped_run_ends_at_the_same_weights(corpus, tmp_path, buffer):
    def weights(folder: str, stop: int | None) -> dict[str, torch.Tensor]:
        loop = {"steps": 6, "checkpoint_every": 3, "validate_every": 100}
        task = task_of(corpus, tmp_path, buffer=buffer, **loop)
        if stop is not None:
            task.losses = _stopping(task.losses, stop)
            with pytest.raises(KeyboardInterrupt):
                run_loop(task, task.recipe.loop, tmp_path / folder)
            task = task_of(corpus, tmp_path, buffer=buffer, workers=2, **loop)
        model = run_loop(task, task.recipe.loop, tmp_path / folder, resume=stop is not None)
        return model.state_dict()

    whole, stopped = weights("whole", None), weights("stopped", 5)
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def _stopping(losses, at: int):
    def stopping(model, step, generator):
        if step == at:
            raise KeyboardInterrupt
        return losses(model, step, generator)

    return stopping


def test_a_recipe_becomes_a_model(corpus, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(steps=2)))
    seen = []
    out = train(
        path,
        data=corpus,
        output=tmp_path / "run",
        progress=lambda step, numbers: seen.append((step, set(numbers))),
    )
    assert (out / WEIGHTS).is_file()
    assert (out / RECIPE).is_file()
    assert list((out / "cache").glob("faces-*/crops.npy"))
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
        train(path, data=corpus, output=out)
    assert train(path, data=corpus, output=out, resume=True) == out


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [("training", "batch", 0), ("network", "input_size", "big"), ("loop", "no_such_knob", 1)],
)
def test_a_wrong_field_is_named(corpus, tmp_path, section, field, value):
    wrong = recipe(steps=2)
    wrong[section] = wrong[section] | {field: value}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(wrong))
    with pytest.raises(ConfigError, match=rf"{section}\.{field}"):
        train(path, data=corpus, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
