import json

import numpy as np
import pytest
import torch

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.corpus.feed.cache import FaceCache
from visagist.deploy.export import export_closeups
from visagist.errors import ConfigError, DataError, ModelDamagedError
from visagist.face.mesh.closeup_training import (
    CloseupRecipe,
    CloseupTask,
    FoundFaces,
    point_weights,
    run_loop,
    spread,
    view,
)
from visagist.face.mesh.closeups import REGIONS, Closeups, region_points
from visagist.training.run import write_run


def faces(count=6, *, off=2.0):
    """Drawn faces whose found meshes are off by a constant and some noise."""
    rng = np.random.default_rng(0)
    labelled = []
    for _ in range(count):
        mesh = drawn_mesh(288, turn=float(rng.uniform(-8, 8)), gape=float(rng.uniform(0, 6)))
        mesh[:, :2] = (mesh[:, :2] - 144) / 1.125 + 144
        labelled.append(mesh)
    crops = np.stack([drawn_face(mesh, 288) for mesh in labelled])
    found = np.stack(labelled).copy()
    found[..., :2] += off
    return FoundFaces(crops, np.stack(labelled).astype(np.float32), found, 1.0)


def recipe(**changes):
    small = {"widths": (8, 16, 16), "depths": (0, 0, 1), "squeeze": 8, "hidden": 32}
    loop = {"steps": 60, "lr": 3e-3, "warmup": 5, "log_every": 20, "validate_every": 60}
    loop |= {"checkpoint_every": 30, "ema_gamma": 2.0} | changes.pop("loop", {})
    return CloseupRecipe.model_validate(
        {
            "data": {"use": "mesh"},
            "network": small,
            "training": {"batch": 8} | changes.pop("training", {}),
            "loop": loop,
            **changes,
        }
    )


def task(settings=None, **changes):
    people = faces()
    return CloseupTask(
        settings or recipe(**changes), [people], [people], torch.device("cpu"), workers=0
    )


@pytest.mark.parametrize("name", list(REGIONS))
def test_a_window_shows_the_points_where_they_are(name):
    people = faces()
    straight = view(people, 0, name, mirrored=False)
    moved = view(people, 0, name, mirrored=False, moved=(3.0, -2.0, 10.0, 1.1))
    assert straight.image.shape == (64, 64, 3)
    error = np.linalg.norm(straight.found - straight.points, axis=1) / straight.unit
    assert np.allclose(error, np.sqrt(8), atol=0.05)
    # the same pixel of the face under the same point, however the window lies
    for place, other in zip(straight.points[::7], moved.points[::7], strict=True):
        (x, y), (u, v) = place.astype(int), other.astype(int)
        if min(x, y, u, v) > 2 and max(x, y, u, v) < 61:
            near = moved.image[v - 1 : v + 2, u - 1 : u + 2].reshape(-1, 3).astype(int)
            assert np.abs(near - straight.image[y, x].astype(int)).max(1).min() < 40


def test_a_mirrored_face_has_its_other_eye_in_the_same_window():
    people = faces()
    left, right = (view(people, 0, "eye", mirrored=m) for m in (False, True))
    assert np.abs(left.points - right.points).mean() < 6
    assert not np.array_equal(left.image, right.image)


def test_a_short_training_finds_points_better_than_the_first_look(tmp_path):
    made = task()
    model = run_loop(made, made.recipe.loop, tmp_path / "run")
    numbers = made.validate(model)
    assert numbers["eye_found"] == pytest.approx(np.sqrt(8), abs=0.05)
    assert numbers["eye_refined"] < 0.8 * numbers["eye_found"]
    assert numbers["lips_refined"] < 0.9 * numbers["lips_found"]


def test_batches_are_functions_of_the_step_and_disturbed(tmp_path):
    disturbed = {"photometric": {"strength": 1.0, "grey": 0.5}, "noise": {"share": 1.0}}
    disturbed |= {"occlusion": {"share": 0.5}}
    one, two = task(augment=disturbed), task(augment=disturbed)
    for name in REGIONS:
        assert torch.equal(one.batch(3)[name][0], two.batch(3)[name][0])
        assert not torch.equal(one.batch(3)[name][0], one.batch(4)[name][0])
        assert one.batch(3)[name][0].abs().max() <= 1


def test_fine_points_weigh_more_and_the_mean_is_one():
    for name in REGIONS:
        weights = point_weights(name, 3.0)
        fine = np.isin(region_points(name)[0], REGIONS[name].fine)
        assert weights.mean() == pytest.approx(1)
        assert weights[fine].min() == pytest.approx(3 * weights[~fine].max())


def test_large_corpora_are_thinned_evenly():
    people = faces(5)
    cache = FaceCache(people.crops, people.labelled, tuple("abcde"), ("train",) * 5, 1.125)
    assert spread(cache, 5) is cache
    thin = spread(cache, 3)
    assert thin.keys == ("a", "c", "e") and len(thin.splits) == 3
    assert np.array_equal(thin.crops, people.crops[::2])


def test_shares_must_fit_the_corpora():
    people = faces()
    with pytest.raises(ConfigError, match="2 shares for 1 corpora"):
        CloseupTask(recipe(shares=(1.0, 0.5)), [people], [], torch.device("cpu"))


def test_an_exported_network_refines_like_the_trained_one(tmp_path):
    made = task(loop={"steps": 20, "validate_every": 20, "checkpoint_every": 20})
    run = tmp_path / "run"
    with pytest.raises(DataError):
        export_closeups(run, tmp_path / "model")
    model = run_loop(made, made.recipe.loop, run)
    write_run(run, model, made.recipe)
    report = export_closeups(run, tmp_path / "model")
    assert report["files"]["model.onnx"]["parity"] < 1e-3
    near = Closeups.from_pretrained(tmp_path / "model")
    people = faces()
    refined = near.refine(people.crops[0], people.found[0])
    before = np.abs(people.found[0] - people.labelled[0])[:, :2].mean()
    assert np.abs(refined - people.labelled[0])[:, :2].mean() < before
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["points"] == {n: len(region_points(n)[0]) for n in REGIONS}


def test_another_model_is_no_closeup():
    with pytest.raises(ModelDamagedError, match="no close-ups"):
        Closeups.from_pretrained("face-mesh")
