from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh
from tests.makeup.model_folder import STYLES, write_makeup_model
from visagist.errors import (
    FaceChoiceError,
    InputError,
    ModelDamagedError,
    NoFaceError,
    UnknownStyleError,
)
from visagist.face.types import Detection
from visagist.makeup.inference import Makeup
from visagist.photo import Photo
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import open_model

MESHES = (
    drawn_mesh(256) * 0.9 + np.array([10, 20, 0], np.float32),
    drawn_mesh(256) * 0.7 + np.array([260, 60, 0], np.float32),
)


class FakeDetector:
    """Says that the faces are where they were drawn."""

    name = "fake"

    def __init__(self, meshes) -> None:
        self.meshes = meshes

    def detect(self, pixels):
        boxes = [np.concatenate([m[:468, :2].min(0), m[:468, :2].max(0)]) for m in self.meshes]
        return [Detection(tuple(map(float, box)), 0.9) for box in boxes]


class FakeMesher:
    def __init__(self, meshes) -> None:
        self.meshes = meshes

    def predict(self, pixels, detection):
        def distance(mesh):
            return abs(mesh[:468, 0].min() - detection.box[0])

        return min(self.meshes, key=distance).astype(np.float32), 0.95


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_makeup_model(tmp_path_factory.mktemp("makeup"))


def engine(folder, meshes=MESHES) -> Makeup:
    return Makeup(open_model(folder), detector=FakeDetector(meshes), mesher=FakeMesher(meshes))


@pytest.fixture(scope="module")
def makeup(folder) -> Makeup:
    return engine(folder)


@pytest.fixture(scope="module")
def photo() -> Photo:
    first, second = (drawn_face(m, 480) for m in MESHES)
    picture = first.copy()
    picture[:320, 250:] = second[:320, 250:]
    return Photo.from_array(picture[:320])


class FakeParser:
    """Says that something covers the left half of every face."""

    def __init__(self) -> None:
        self.asked = 0

    def uncovered(self, pixels, alignment):
        self.asked += 1
        clear = np.ones((alignment.size, alignment.size), np.float32)
        clear[:, : alignment.size // 2] = 0
        return clear


def changed(before: Photo, after: Photo) -> np.ndarray:
    return (before.pixels != after.pixels).any(2)


def test_makeup_on_every_face_and_nowhere_else(makeup, photo):
    result = makeup.apply(photo, style="smoky")
    assert len(result.faces) == 2
    assert result.faces[0].area > result.faces[1].area
    where = changed(photo, result.photo)
    allowed = np.zeros_like(where)
    for mesh in MESHES:
        low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
        x0, y0, x1, y1 = (*(low - 12).astype(int).clip(0), *(high + 12).astype(int))
        allowed[y0:y1, x0:x1] = True
        assert where[y0:y1, x0:x1].any()
    assert not where[~allowed].any()
    assert set(result.timings) >= {"find", "network", "paste"}


def test_intensity_zero_changes_no_bit(makeup, photo):
    assert not changed(photo, makeup.apply(photo, style="smoky", intensity=0).photo).any()
    none = makeup.apply(photo, style="smoky", lips=0, eyes=0, skin=0).photo
    assert not changed(photo, none).any()


def test_more_intensity_is_more_makeup(makeup, photo):
    change = [
        np.abs(makeup.apply(photo, intensity=i).photo.pixels.astype(int) - photo.pixels).sum()
        for i in (0.5, 1.0, 1.5)
    ]
    assert 0 < change[0] < change[1] < change[2]
    assert change[1] / change[0] == pytest.approx(2, rel=0.15)


def test_the_order_of_faces_does_not_matter(folder, photo):
    forth, back = engine(folder), engine(folder, MESHES[::-1])
    assert not changed(forth.apply(photo).photo, back.apply(photo).photo).any()


def test_one_face_of_two(makeup, photo):
    both = makeup.apply(photo).photo
    first, second = (makeup.apply(photo, faces=i).photo for i in (0, 1))
    assert not changed(makeup.apply(photo, faces="largest").photo, first).any()
    assert not (changed(photo, first) & changed(photo, second)).any()
    assert np.array_equal(changed(photo, both), changed(photo, first) | changed(photo, second))
    with pytest.raises(FaceChoiceError):
        makeup.apply(photo, faces=2)


def test_a_mix_is_linear_before_rounding(makeup, photo):
    view = drawn_face(drawn_mesh(256), 256)
    first, second = (makeup.residual(view, makeup.style_code({s: 1.0})) for s in STYLES[:2])
    mixed = makeup.residual(view, makeup.style_code({STYLES[0]: 0.25, STYLES[1]: 0.75}))
    assert np.allclose(mixed, 0.25 * first + 0.75 * second, atol=0.01)


@pytest.mark.parametrize(("name", "near"), [("smokey", "smoky"), ("Classic", "classic")])
def test_an_unknown_style_names_the_nearest(makeup, photo, name, near):
    with pytest.raises(UnknownStyleError, match=f"did you mean '{near}'"):
        makeup.apply(photo, style=name)
    with pytest.raises(UnknownStyleError, match=near):
        makeup.apply(photo, mix={name: 0.5})


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.6, math.inf])
@pytest.mark.parametrize("factor", ["intensity", "lips", "eyes", "skin"])
def test_a_factor_out_of_range_is_refused_by_name(makeup, photo, factor, value):
    with pytest.raises(InputError, match=factor):
        makeup.apply(photo, **{factor: value})


@pytest.mark.parametrize(
    "mix", [{}, {"smoky": 0.0}, {"smoky": math.nan}, {"smoky": -1}, dict.fromkeys(STYLES, 0.9)]
)
def test_a_mix_that_makes_no_sense(makeup, photo, mix):
    with pytest.raises(InputError):
        makeup.apply(photo, mix=mix)


def test_no_face(folder, photo):
    with pytest.raises(NoFaceError, match="no face"):
        engine(folder, ()).apply(photo)


def test_a_config_without_styles_is_refused(folder, tmp_path):
    (tmp_path / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"input_size": 256}))
    write_manifest(tmp_path, name="m", version="1", licence="x", created_by="a test")
    with pytest.raises(ModelDamagedError, match="styles"):
        Makeup(open_model(tmp_path))


def test_what_covers_a_face_is_not_painted(folder, photo):
    parser = FakeParser()
    guarded = Makeup(
        open_model(folder),
        detector=FakeDetector(MESHES),
        mesher=FakeMesher(MESHES),
        parser=parser,
    )
    bare = engine(folder).apply(photo, style="smoky", faces="largest")
    result = guarded.apply(photo, style="smoky", faces="largest")
    middle = MESHES[0][:468, 0].mean()
    column = np.arange(photo.pixels.shape[1])[None]
    before, after = changed(photo, bare.photo), changed(photo, result.photo)
    assert (before & (column < middle - 12)).sum() > 500
    assert not (after & (column < middle - 12)).any()
    assert np.array_equal(after & (column > middle + 12), before & (column > middle + 12))
    assert parser.asked == 1
    assert "parse" in result.timings
    assert "parse" not in bare.timings
