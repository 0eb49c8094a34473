from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from tests.recognition.dlib_file import write_dlib_file
from tests.recognition.small_people import DATA, people_corpus
from visagist.cli.app import app
from visagist.deploy.export import export_recognizer
from visagist.errors import ConfigError
from visagist.recognition.config import RecognizerRecipe
from visagist.recognition.data import open_faces
from visagist.recognition.network import make_network
from visagist.recognition.teacher import Teacher
from visagist.recognition.teaching import teacher_vectors
from visagist.recognition.training import train
from visagist.runtime.session import make_session
from visagist.training.run import read_run

NETWORK = {"ranks": [0, 8, 8, 8], "stem": 8}
RECIPE = {
    "data": DATA,
    "network": NETWORK,
    "distill": {"batch": 8, "compress_faces": 8, "stem_steps": 5},
    "loop": {
        "steps": 6,
        "lr": 2e-4,
        "warmup": 2,
        "log_every": 2,
        "validate_every": 3,
        "checkpoint_every": 3,
    },
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        teacher = write_dlib_file(root / "dlib.dat", patch)
        corpus = people_corpus(root / "corpus")
        yield root, corpus, teacher


def recipe(folder, **changes):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}), encoding="utf-8")
    return path


def run(world, folder, *, settings=None, **options):
    root, corpus, teacher = world
    return train(
        settings or recipe(folder),
        data=[corpus],
        teacher=teacher,
        output=folder / "run",
        cache=root / "cache",
        **options,
    )


def weights(folder):
    return read_run(folder, RecognizerRecipe)[1]


def test_a_network_comes_nearer_to_its_teacher(world, tmp_path):
    settings = recipe(tmp_path, loop={**RECIPE["loop"], "steps": 30, "lr": 1e-3})
    run(world, tmp_path, settings=settings)
    lines = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["direction"] for line in lines if "direction" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert any("val_cosine" in line for line in lines)


def test_groups_of_neighbours_over_all_tones_train_too(world, tmp_path):
    distill = {**RECIPE["distill"], "group": 4, "near": 3, "even_tones": 0.5}
    run(world, tmp_path, settings=recipe(tmp_path, distill=distill))
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "run").values())


def test_a_killed_run_goes_on_to_the_same_weights(world, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    run(world, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(step, numbers):
        if step >= 4:
            raise KilledError

    with pytest.raises(KilledError):
        run(world, tmp_path / "broken", progress=kill)
    run(world, tmp_path / "broken", resume=True)
    wanted, got = weights(tmp_path / "whole" / "run"), weights(tmp_path / "broken" / "run")
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=0, rtol=0)


def test_the_teachers_vectors_are_computed_once(world, tmp_path, monkeypatch):
    root, corpus, path = world
    config = RecognizerRecipe.model_validate(RECIPE).data
    faces = open_faces([corpus], config, root / "cache", "train")
    teacher = Teacher.from_file(path)
    first = teacher_vectors(faces, teacher, tmp_path)
    monkeypatch.setattr(Teacher, "forward", None)
    np.testing.assert_array_equal(teacher_vectors(faces, teacher, tmp_path), first)
    assert first.shape == (len(faces), 128)
    assert np.linalg.norm(first[0] - first[2]) > 1e-3  # two people


def test_a_run_can_start_from_another(world, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    run(world, tmp_path / "first")
    still = recipe(tmp_path / "second", loop={**RECIPE["loop"], "steps": 1, "lr": 1e-9})
    run(world, tmp_path / "second", settings=still, start=tmp_path / "first" / "run")
    wanted, got = weights(tmp_path / "first" / "run"), weights(tmp_path / "second" / "run")
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-6, rtol=1e-4)
    other = recipe(tmp_path, network={**NETWORK, "stem": 12})
    with pytest.raises(ConfigError, match="its network is not the one"):
        run(world, tmp_path, settings=other, start=tmp_path / "first" / "run")


@pytest.mark.parametrize("network", [{"kind": "mobilefacenet"}, {**NETWORK, "norm": True}])
def test_other_networks_start_from_random_weights(world, tmp_path, network):
    with pytest.raises(ConfigError, match=r"distill\.start"):
        run(world, tmp_path, settings=recipe(tmp_path, network=network))
    settings = recipe(
        tmp_path,
        network=network,
        distill={"batch": 4, "start": "random"},
        loop={**RECIPE["loop"], "steps": 1},
    )
    run(world, tmp_path, settings=settings)


def test_the_command_trains_and_exports_what_runs(world, tmp_path):
    root, corpus, teacher = world
    told = CliRunner().invoke(
        app,
        [
            "train", "recognizer", str(recipe(tmp_path)), "--data", str(corpus), "--teacher",
            str(teacher), "-o", str(tmp_path / "run"), "--cache", str(root / "cache"),
        ],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    report = export_recognizer(tmp_path / "run", tmp_path / "model")
    network = make_network(read_run(tmp_path / "run", RecognizerRecipe)[0].network)
    assert report["params"] == sum(p.numel() for p in network.parameters())
    network.load_state_dict(weights(tmp_path / "model"))
    image = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(network.eval()(image)).numpy()
    session = make_session((tmp_path / "model" / "model.onnx").read_bytes())
    got = session.run(None, {"image": image.numpy()})[0]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got), 1, atol=1e-5)
