from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from tests.corpus.labelled_tree import placed_face
from tests.face.parser.small_parser import heads, recipe, tree
from visagist.deploy.export import export_parser
from visagist.errors import ConfigError
from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.inference import Parser
from visagist.face.parser.pack import head_set, photo_set
from visagist.face.parser.training import ParserTask, iou, train
from visagist.face.parts import Part
from visagist.face.types import Detection, Face
from visagist.training.loop import train as run_loop
from visagist.training.run import RECIPE, WEIGHTS


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    return tree(folder), heads(folder), folder


def test_it_learns_on_drawn_faces(places):
    data, corpus, folder = places
    settings = ParserRecipe.model_validate(recipe(steps=60))
    photos = photo_set(data, settings.data, folder / "sets")
    renders = head_set(corpus, settings.data, folder / "sets")
    task = ParserTask(settings, photos, renders, torch.device("cpu"))
    before = task.validate(task.model.eval())
    after = task.validate(run_loop(task, settings.loop, folder / "run"))
    assert after["heads_miou"] > before["heads_miou"] + 0.15
    assert after["heads_skin"] > 0.7
    assert after["photos_skin"] > 0.6


def test_a_recipe_becomes_a_model_and_a_teacher(places):
    data, corpus, folder = places
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(steps=2)))
    seen, built = [], []
    out = train(
        path,
        data=data,
        heads=corpus,
        output=folder / "first",
        building=lambda done, total: built.append((done, total)),
        progress=lambda step, numbers: seen.append((step, set(numbers))),
    )
    assert (out / WEIGHTS).is_file()
    assert (out / RECIPE).is_file()
    assert (6, 6) in built
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [step for step, _ in seen] == [line["step"] for line in log] == [2, 2]
    assert {"cross_entropy", "dice"} <= set(log[0])
    assert {"val_heads_miou", "val_photos_miou", "val_heads_skin"} <= set(log[1])

    export_parser(out, folder / "model")
    pixels, mesh = placed_face(0)
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    detection = Detection((*map(float, low), *map(float, high)), 1.0)
    parser = Parser.from_pretrained(folder / "model")
    found = parser.parse(pixels, Face(detection, mesh, 1.0))
    assert found.parts.shape == pixels.shape[:2]
    assert set(np.unique(found.parts)) <= {int(part) for part in Part}
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)

    taught = recipe(steps=2)
    taught["data"] |= {"teacher": str(folder / "model")}  # type: ignore[operator]
    path.write_text(yaml.safe_dump(taught))
    assert (train(path, data=data, heads=None, output=folder / "second") / WEIGHTS).is_file()


def test_an_unknown_field_is_named(tmp_path, places):
    path = tmp_path / "recipe.yaml"
    path.write_text("training: {bach: 3}")
    with pytest.raises(ConfigError, match=r"training\.bach"):
        train(path, data=places[0], heads=None, output=tmp_path / "run")


def test_iou_of_classes_that_never_occur_is_no_number():
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    counts[0, 0], counts[0, 1], counts[1, 1] = 6, 2, 2
    scores = iou(counts)
    assert scores[:2].tolist() == [6 / 8, 2 / 4]
    assert scores[2:].isnan().all()
