from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from tests.recognition.small_people import DATA, NETWORK, people_corpus
from visagist.deploy.export import export_recognizer
from visagist.errors import ConfigError, DataError
from visagist.recognition.centres import (
    CENTRES,
    fit_centres,
    make_classifier,
    read_centres,
    save_centres,
)
from visagist.recognition.classifier import UNLABELLED, Rejection
from visagist.recognition.data import open_faces
from visagist.recognition.finetune import OVERLAP, FinetuneTask, RejectingModel, train
from visagist.recognition.finetune_config import CentresConfig, FinetuneRecipe, MarginConfig
from visagist.recognition.network import EmbeddingNetwork
from visagist.recognition.people import person_of, records_of, sort_people
from visagist.training.run import RECIPE, WEIGHTS, write_run

CPU = torch.device("cpu")


def recipe(**changes: Any) -> dict[str, Any]:
    training = {
        "batch": 8,
        "margin": {"kind": "cosface", "size": 0.2, "scale": 8.0},
        "centres": {"steps": 20, "batch": 8},
        "rejection": {"form": "kl", "weight": 0.1, "overlap_fpir": 0.25},
    }
    return {
        "data": DATA,
        "training": training | changes.pop("training", {}),
        "loop": {"steps": 4, "log_every": 2, "warmup": 1, "lr": 1e-3} | changes.pop("loop", {}),
        **changes,
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return people_corpus(tmp_path_factory.mktemp("finetune") / "corpus")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def network_run(folder, seed=0, **network):
    """A finished run of another training: a network, and no centres."""
    settings = FinetuneRecipe.model_validate({"network": NETWORK | network})
    torch.manual_seed(seed)
    write_run(folder, EmbeddingNetwork(settings.network), settings)
    return folder


def write(path, settings):
    path.write_text(yaml.safe_dump(settings))
    return path


def make_task(corpus, cache, network, **changes):
    settings = FinetuneRecipe.model_validate(recipe(**changes))
    faces, held_out = (
        open_faces([corpus], settings.data, cache, split) for split in ("train", "validation")
    )
    people = sort_people(records_of([corpus], faces.keys), settings.people)
    classifier = make_classifier(settings.training.margin, len(people.names), 16)
    model = RejectingModel(network, classifier)
    names = [person_of(record) for record in records_of([corpus], held_out.keys)]
    return FinetuneTask(
        settings, model, faces, people, held_out=held_out, held_out_names=names, device=CPU
    )


def test_a_batch_mixes_known_people_and_strangers(corpus, cache):
    network = EmbeddingNetwork(FinetuneRecipe.model_validate({"network": NETWORK}).network)
    task = make_task(corpus, cache, network)
    views, labels = task.batch(0)
    assert views.shape == (8, 3, 112, 112)
    assert (labels[:6] >= 0).all()
    assert (labels[6:] == UNLABELLED).all()
    again = task.batch(0)
    assert torch.equal(views, again[0])
    assert not torch.equal(views, task.batch(1)[0])
    # every view shows the face of its label
    drawn = {i: task.faces.views(torch.tensor([i]), torch.Generator()) for i in range(13)}
    for view, label in zip(views, labels.tolist(), strict=True):
        nearest = min(
            drawn,
            key=lambda i: min(float((drawn[i][0] - v).abs().mean()) for v in (view, view.flip(2))),
        )
        assert task.people.labels[nearest] == label
    without = make_task(corpus, cache, network, training={"rejection": {"weight": 0}})
    assert (without.batch(0)[1] >= 0).all()
    assert set(without.losses(without.model, 0, torch.Generator())) == {"margin"}


def test_what_a_validation_tells(corpus, cache):
    network = EmbeddingNetwork(FinetuneRecipe.model_validate({"network": NETWORK}).network)
    task = make_task(corpus, cache, network)
    numbers = task.validate(task.model.eval())
    assert {"known_p", "known_right", "unlabelled_p", "unlabelled_p99"} <= set(numbers)
    assert {"unlabelled_auc", "held_out_auc", "held_out_p50"} <= set(numbers)
    assert all(0 <= value <= 1 for value in numbers.values())
    assert numbers["unlabelled_p10"] <= numbers["unlabelled_p50"] <= numbers["unlabelled_p99"]


class Normed(nn.Module):
    """A network with batch normalisation that is easy to follow."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, views):
        return self.norm(views.mean((2, 3)))


@pytest.mark.parametrize("apart", [False, True])
def test_strangers_can_be_kept_out_of_the_norm(apart):
    torch.manual_seed(0)
    classifier = make_classifier(MarginConfig(scale=3.0), 2, 3)
    model = RejectingModel(Normed(), classifier, apart=apart).train()
    views, labels = torch.randn(6, 3, 2, 2), torch.tensor([0, UNLABELLED, 1, 0, UNLABELLED, 1])
    views[labels < 0] += torch.tensor([[5.0, -2, 1], [1.0, 0, 3]])[..., None, None]
    verdict = model(views, labels, Rejection("kl"))
    mean = 0.1 * (views if not apart else views[labels >= 0]).mean((0, 2, 3))
    torch.testing.assert_close(model.network.norm.running_mean, mean)
    assert model.network.norm.training
    (verdict.margin + verdict.rejection).backward()
    # rows keep their places: strangers alone see the statistics as they were
    alone = RejectingModel(Normed().eval(), model.classifier)(views[labels < 0], labels[labels < 0])
    same = bool(torch.allclose(alone.surest, verdict.surest, atol=1e-3))
    assert same == apart


def test_centres_are_trained_alone():
    torch.manual_seed(0)
    people = torch.nn.functional.normalize(torch.randn(6, 16))
    labels = torch.arange(6).repeat(10)
    features = 4 * (people[labels] + 0.4 * torch.randn(60, 16))
    config = MarginConfig(kind="arcface", size=0.3, scale=10.0)
    losses = {}
    for start, steps in (("random", 0), ("random", 200), ("means", 0), ("means", 200)):
        classifier = make_classifier(config, 6, 16)
        fit_centres(classifier, features, labels, CentresConfig(start=start, steps=steps, lr=0.02))
        losses[start, steps] = float(classifier(features, labels).margin.detach())
    assert losses["random", 200] < losses["random", 0] - 0.5
    assert losses["means", 200] < losses["means", 0] < losses["random", 0]


def test_a_file_of_centres(tmp_path):
    assert read_centres(tmp_path) is None
    classifier = make_classifier(MarginConfig(kind="adaface"), 3, 4)
    classifier.margin.observe(torch.tensor([3.0, 5.0]))
    save_centres(tmp_path, classifier, ["a", "b/c", "é"])
    stored = read_centres(tmp_path)
    assert stored is not None
    centres, state = stored
    assert list(centres) == ["a", "b/c", "é"]
    assert torch.equal(centres["b/c"], classifier.centres[1])
    assert torch.equal(state["mean"], classifier.margin.mean)
    assert [path.name for path in tmp_path.iterdir()] == [CENTRES]
    (tmp_path / CENTRES).write_bytes((tmp_path / CENTRES).read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read"):
        read_centres(tmp_path)


def test_from_a_network_to_a_run_and_on(tmp_path, corpus, cache):
    first = network_run(tmp_path / "network")
    path = write(tmp_path / "recipe.yaml", recipe())
    told = []
    out = train(
        path,
        data=[corpus],
        start=first,
        output=tmp_path / "first",
        cache=cache,
        preparing=lambda what, done, total: told.append((what, done, total)),
    )
    assert {what for what, _, _ in told} >= {"overlap", "views 1", "views 2", "centres"}
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"margin", "rejection"} <= set(log[0])
    assert {"val_known_right", "val_unlabelled_p", "val_held_out_auc"} <= set(log[-1])
    overlap = json.loads((out / OVERLAP).read_text())
    assert overlap["unlabelled"] == 5
    assert 0 <= overlap["dropped"] <= 5
    weights = load_file(out / WEIGHTS)
    assert weights.keys() == load_file(first / WEIGHTS).keys()
    assert any(not torch.equal(weights[k], v) for k, v in load_file(first / WEIGHTS).items())
    assert json.loads((out / RECIPE).read_text())["network"]["embedding"] == 16

    assert "model.onnx" in export_recognizer(out, tmp_path / "model")["files"]

    # a training that goes on from this one starts with its centres
    still = recipe(loop={"steps": 1, "lr": 1e-12})
    second = train(
        write(tmp_path / "still.yaml", still),
        data=[corpus],
        start=out,
        output=tmp_path / "second",
        cache=cache,
    )
    before, after = read_centres(out), read_centres(second)
    assert before is not None
    assert after is not None
    for name, centre in before[0].items():
        torch.testing.assert_close(after[0][name], centre)


def test_a_run_that_was_stopped_goes_on_the_same(tmp_path, corpus, cache):
    first = network_run(tmp_path / "network")
    path = write(tmp_path / "recipe.yaml", recipe(loop={"checkpoint_every": 2}))

    class StopError(Exception):
        pass

    def stop(step, numbers):
        if step == 4:
            raise StopError

    shared = {"data": [corpus], "start": first, "cache": cache}
    whole = train(path, output=tmp_path / "whole", **shared)
    with pytest.raises(StopError):
        train(path, output=tmp_path / "stopped", progress=stop, **shared)
    with pytest.raises(ConfigError, match="--resume"):
        train(path, output=tmp_path / "stopped", **shared)
    rest = train(path, output=tmp_path / "stopped", resume=True, **shared)
    for name in (WEIGHTS, CENTRES):
        assert (whole / name).read_bytes() == (rest / name).read_bytes()


def test_from_random_weights(tmp_path, corpus, cache):
    settings = recipe(network=NETWORK | {"norm": True})
    settings["training"]["rejection"]["in_norm"] = False
    path = write(tmp_path / "recipe.yaml", settings)
    out = train(path, data=[corpus], output=tmp_path / "run", cache=cache)
    assert not (out / OVERLAP).exists()  # random weights know nobody
    assert all(np.isfinite(v.numpy()).all() for v in load_file(out / WEIGHTS).values())


def test_what_does_not_fit_is_refused(tmp_path, corpus, cache):
    first = network_run(tmp_path / "network")
    shared = {"data": [corpus], "cache": cache}
    other = write(tmp_path / "other.yaml", recipe(network=NETWORK | {"embedding": 32}))
    with pytest.raises(ConfigError, match="leave out network"):
        train(other, start=first, output=tmp_path / "run", **shared)
    kinds = write(tmp_path / "kinds.yaml", recipe(people={"unlabelled_kinds": ["head"]}))
    with pytest.raises(DataError, match="no unlabelled faces"):
        train(kinds, start=first, output=tmp_path / "run", **shared)
    wrong = write(tmp_path / "wrong.yaml", recipe(training={"batch": 8, "form": "kl"}))
    with pytest.raises(ConfigError, match=r"training\.form"):
        train(wrong, start=first, output=tmp_path / "run", **shared)
    with pytest.raises(DataError, match="no finished run"):
        train(other, start=tmp_path / "nothing", output=tmp_path / "run", **shared)
