"""Draws heads for real; skipped only where no OpenGL context can be made."""

import dataclasses
import io
import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.corpus.heads.made_assets import make_assets
from visagist.cli.app import app
from visagist.corpus.corpus import Corpus
from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.camera import Pose
from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.gl import open_context
from visagist.corpus.heads.occluders import KINDS, Worn
from visagist.corpus.heads.scene import HeadsConfig, draw_person, draw_scene, other_person
from visagist.corpus.heads.studio import Studio
from visagist.corpus.heads.task import DEPTH_UNIT, HeadTask, check_assets
from visagist.errors import DataError, InputError
from visagist.face.parts import Part

SIZE = 128


@dataclasses.dataclass(frozen=True)
class Whiten:
    """Stands in for makeup: everything white."""

    def __call__(self, image, mesh, seed):
        return np.full_like(image, 255), "white"


@pytest.fixture(scope="module", autouse=True)
def _opengl():
    try:
        open_context().release()
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def studio(folder):
    return Studio(HeadAssets(folder), SIZE, 1.3)


def plain_scene(studio, number=0, **changes):
    """Frontal, bare, eyes open, no camera noise."""
    scene = draw_scene(HeadsConfig(worn=0.0, photo=False), number, 0, studio.assets)
    spec = dataclasses.replace(scene.spec, expression=Expression(), hair="")
    changes = {"pose": Pose(), "spec": spec, "worn": (), **changes}
    return dataclasses.replace(scene, **changes)


def at(image, points):
    """Values of the pixels under points."""
    x, y = np.floor(points[:, :2]).astype(int).T
    return image[y, x]


def test_depth_and_labels_and_cover_agree(studio):
    picture = studio.shoot(plain_scene(studio)).picture
    there = picture.parts != Part.BACKGROUND
    assert 0.2 < there.mean() < 0.95
    assert (picture.depth[~there] == 0).all()
    assert picture.depth[there].min() > 1
    # a pixel is background when none of its samples, or the fewest, are covered
    assert (picture.cover[~there] <= 0.5 + 1e-3).all()
    assert (picture.cover[there] >= 0.25 - 1e-3).all()


def test_points_fall_on_their_parts(studio):
    shot = studio.shoot(plain_scene(studio))
    parts = shot.picture.parts
    assert (at(parts, shot.mesh[[468, 473]]) == Part.EYES).all()
    assert (at(parts, shot.mesh[[4, 50, 280, 151, 199]]) == Part.SKIN).all()
    assert (at(parts, shot.mesh[[0, 17]] + [0, 0, 0]) != Part.BACKGROUND).all()
    # the middle of the upper and of the lower lip's red
    middles = np.array([shot.mesh[[0, 13]].mean(0), shot.mesh[[14, 17]].mean(0)])
    assert (at(parts, middles) == Part.LIPS).all()


def test_the_depth_of_a_point_is_where_it_was_projected_from(studio):
    scene = plain_scene(studio, pose=Pose(yaw=15, pitch=-5))
    shot = studio.shoot(scene)
    seen = shot.mesh[[4, 50, 151, 199]]
    depth = at(shot.picture.depth, seen)
    scale = scene.camera.scale * shot.alignment.scale
    assert np.allclose(depth - depth[0], (seen[:, 2] - seen[0, 2]) / scale, atol=0.05)


def test_the_crop_is_the_one_of_photos(studio):
    shot = studio.shoot(plain_scene(studio))
    middle = shot.mesh[:468, :2].mean(0)
    assert np.abs(middle - SIZE / 2).max() < 0.1 * SIZE
    assert shot.alignment.size == SIZE


def test_an_open_mouth_shows_its_inside(studio):
    scene = plain_scene(studio)
    spec = dataclasses.replace(scene.spec, expression=Expression("", {"jawOpen": 0.5}))
    shot = studio.shoot(dataclasses.replace(scene, spec=spec))
    inside = shot.mesh[[13, 14]].mean(0, keepdims=True)
    assert (at(shot.picture.parts, inside) == Part.MOUTH).all()
    dark = at(shot.picture.colour, inside).mean() / at(shot.picture.colour, shot.mesh[[4]]).mean()
    assert dark < 0.6


def test_shut_eyes_are_skin(studio):
    scene = plain_scene(studio)
    blink = Expression("", {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0})
    spec = dataclasses.replace(scene.spec, expression=blink)
    parts = studio.shoot(dataclasses.replace(scene, spec=spec)).picture.parts
    assert (parts == Part.EYES).sum() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_things_worn_are_seen_and_labelled(studio, kind):
    bare = studio.shoot(plain_scene(studio)).picture.parts
    parts = studio.shoot(plain_scene(studio, worn=(Worn(kind, 5),))).picture.parts
    label = Part.GLASSES if "glasses" in kind else Part.OCCLUDER
    assert not (bare == label).any()
    assert (parts == label).sum() > (20 if kind == "glasses" else 60)


def test_clear_lenses_show_the_eyes_and_dark_ones_hide_them(studio):
    clear = studio.shoot(plain_scene(studio, worn=(Worn("glasses", 5),)))
    dark = studio.shoot(plain_scene(studio, worn=(Worn("sunglasses", 5),)))
    assert (at(clear.picture.parts, clear.mesh[[468, 473]]) == Part.EYES).all()
    assert (at(dark.picture.parts, dark.mesh[[468, 473]]) == Part.GLASSES).all()


def test_a_mask_covers_nose_and_mouth(studio):
    shot = studio.shoot(plain_scene(studio, worn=(Worn("mask", 5),)))
    assert (at(shot.picture.parts, shot.mesh[[4, 0, 17]]) == Part.OCCLUDER).mean() > 0.6


def test_another_person_leaves_the_background_bit_for_bit(studio):
    scene = plain_scene(studio)
    shot = studio.shoot(scene)
    other = studio.shoot(other_person(scene, draw_person(0, 0, studio.assets, 1)), shot)
    behind = (shot.picture.cover == 0) & (other.picture.cover == 0)
    assert behind.sum() > 500
    assert np.array_equal(shot.image[behind], other.image[behind])
    face = (shot.picture.parts == Part.SKIN) & (other.picture.parts == Part.SKIN)
    assert np.abs(shot.image[face].astype(int) - other.image[face]).mean() > 2
    assert np.array_equal(shot.alignment.matrix, other.alignment.matrix)
    assert np.abs(shot.mesh - other.mesh).max() > 0.5


def test_the_same_scene_is_the_same_bytes_after_others(folder, studio):
    scene = draw_scene(HeadsConfig(), 7, 0, studio.assets)
    first = studio.shoot(scene)
    studio.shoot(draw_scene(HeadsConfig(), 8, 0, studio.assets))
    fresh = Studio(HeadAssets(folder), SIZE, 1.3).shoot(scene)
    assert np.array_equal(first.image, fresh.image)
    assert np.array_equal(first.picture.parts, fresh.picture.parts)
    assert np.array_equal(first.picture.depth, fresh.picture.depth)


def test_a_sample_carries_its_truth_and_counterfactuals(folder):
    config = HeadsConfig(
        count=4, per_identity=2, size=SIZE, zoom=1.3, counterfactuals=("makeup", "other")
    )
    task = pickle.loads(pickle.dumps(HeadTask(config, folder, Whiten())))
    items = list(task.items())
    assert [item.payload for item in items] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({item.key for item in items}) == 4
    (sample,) = task.prepare(items[0])
    (same,) = task.prepare(items[0])
    (next_one,) = task.prepare(items[1])
    assert sample.key == same.key != next_one.key
    assert dict(sample.extras) == dict(same.extras)
    assert sample.origin.identity == next_one.origin.identity
    assert sample.origin.kind == "head" and sample.origin.may_show
    assert sample.labels_from == "exact"

    parts = np.asarray(Image.open(io.BytesIO(sample.extras["parts.png"])))
    depth = np.asarray(Image.open(io.BytesIO(sample.extras["depth.png"])))
    assert parts.shape == depth.shape == (SIZE, SIZE)
    assert ((depth > 0) == (parts > 0)).all()
    near = depth[depth > 0].min() * DEPTH_UNIT / 100
    assert abs(near - sample.facts["distance"]) < 2.5
    made_up = np.asarray(Image.open(io.BytesIO(sample.extras["makeup.png"])))
    changed = (made_up != sample.image).any(-1)
    bare = np.isin(parts, (Part.SKIN, Part.LIPS, Part.EYES, Part.BROWS))
    assert changed.any() and not (changed & ~bare).any()
    other = np.load(io.BytesIO(sample.extras["other.mesh.npy"]))
    assert other.shape == (478, 3)
    assert sample.facts["other"]["identity"] != sample.origin.identity
    assert json.loads(json.dumps(dict(sample.facts))) == dict(sample.facts)


def test_makeup_needs_somebody_to_do_it(folder):
    with pytest.raises(InputError, match="retouch"):
        HeadTask(HeadsConfig(counterfactuals=("makeup",)), folder)


def test_a_folder_without_skins_is_refused_by_name(folder, tmp_path):
    shutil.copytree(folder / "eyes", tmp_path / "eyes")
    with pytest.raises(DataError, match="has no skins"):
        check_assets(tmp_path)


def test_two_heads_from_the_command_line(folder, tmp_path):
    out = tmp_path / "heads"
    arguments = ["corpus", "heads", "-n", "2", "-o", str(out), "--assets", str(folder)]
    arguments += ["--size", "96", "--engine", "serial", "--counterfactuals", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["kept"] == 2 and report["identities"] == 2
    corpus = Corpus.open(out)
    sample = corpus.load(corpus.records[0])
    assert sample.image.shape == (96, 96, 3)
    assert {"parts.png", "depth.png", "makeup.png", "other.png"} <= set(sample.extras)
    assert sample.facts["makeup"]


def test_missing_assets_are_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("VISAGIST_MAKEHUMAN", raising=False)
    result = CliRunner().invoke(app, ["corpus", "heads", "-n", "1", "-o", str(tmp_path / "x")])
    assert result.exit_code != 0
    assert "VISAGIST_MAKEHUMAN" in str(result.exception) + result.output
