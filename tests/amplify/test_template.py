import numpy as np
import pytest

from tests.amplify.pairs import RED, error, face, look, truth
from visagist.amplify.backend import CropFace
from visagist.amplify.layers import Canvas, lift_layers
from visagist.amplify.template import (
    BareFaces,
    bundled_bare_faces,
    measure_bare_faces,
    open_template,
    save_bare_faces,
    template_look,
)
from visagist.errors import DataError, PairFaceError
from visagist.face.types import Detection, Face
from visagist.photo import Photo


@pytest.fixture(scope="module")
def bare() -> BareFaces:
    return measure_bare_faces(face(i) for i in range(100, 124))


def test_the_face_before_is_estimated_from_the_one_after(bare):
    made = look(1, RED)
    found = template_look(CropFace("x", made.after, made.mesh), bare)
    wanted = made.after.astype(np.float32) - made.before
    assert error(found.after.astype(np.float32) - found.before, wanted) < 0.7 * error(
        0 * wanted, wanted
    )


def test_a_style_from_one_photo_helps_on_other_faces(bare):
    made = look(1, RED)
    layers = lift_layers([template_look(CropFace("x", made.after, made.mesh), bare)])
    laid = [Canvas(face(i).crop, face(i).mesh).lay(layers) for i in (20, 21)]
    gained = [error(change, truth(i)) for change, i in zip(laid, (20, 21), strict=True)]
    assert np.mean(gained) < 0.8 * np.mean([error(0 * truth(i), truth(i)) for i in (20, 21)])


def test_a_bare_face_gives_hardly_any_style(bare):
    one, made = face(1), look(1, RED)
    style = template_look(one, bare)
    strong = template_look(CropFace("x", made.after, made.mesh), bare)
    changes = [np.abs(s.after.astype(np.float32) - s.before).mean() for s in (style, strong)]
    assert changes[0] < 0.25 * changes[1]


def test_the_photo_itself_is_never_changed_and_nothing_outside_the_face(bare):
    made = look(2, RED)
    found = template_look(CropFace("x", made.after, made.mesh), bare)
    assert np.array_equal(found.after, made.after)
    outside = Canvas(made.after, made.mesh).allowed == 0
    assert np.array_equal(found.before[outside], found.after[outside])


def test_bare_faces_are_the_same_on_both_halves_and_survive_being_saved(bare, tmp_path):
    assert np.allclose(bare.mean, bare.mean[:, ::-1], atol=1e-4)
    save_bare_faces(bare, tmp_path / "bare.npz")
    with np.load(tmp_path / "bare.npz") as stored:
        assert np.allclose(stored["mean"], bare.mean, atol=0.05)


def test_the_bundled_measurement_knows_that_lips_are_red_and_brows_dark():
    bundled = bundled_bare_faces()
    assert bundled.mean.shape == bundled.spread.shape == (80, 80, 3)
    assert bundled.spread.min() > 0 and 0.3 < bundled.known.mean() < 1
    lower_lip = bundled.mean[61:64, 38:42]
    assert lower_lip[..., 1].mean() > 3


def test_too_few_faces_are_refused():
    with pytest.raises(DataError, match="at least 20"):
        measure_bare_faces([face(0)])


def test_a_photo_without_a_face_is_refused(tmp_path):
    path = tmp_path / "empty.png"
    Photo.from_array(np.full((64, 64, 3), 127, np.uint8)).save(path)
    with pytest.raises(PairFaceError, match="no face"):
        open_template(path, find=lambda pixels: [])


def test_a_photo_of_several_people_is_refused(tmp_path):
    path = tmp_path / "two.png"
    one = face(0)
    Photo.from_array(np.concatenate([one.crop, one.crop], 1)).save(path)
    box = (float(one.mesh[:, 0].min()), float(one.mesh[:, 1].min()), 200.0, 220.0)
    seen = Face(Detection(box, 1.0), one.mesh, 1.0)
    with pytest.raises(PairFaceError, match="2 people"):
        open_template(path, find=lambda pixels: [seen, seen])
    with pytest.raises(PairFaceError, match="of the face"):
        far = Face(Detection(box, 1.0), one.mesh + np.float32([400, 0, 0]), 1.0)
        open_template(path, find=lambda pixels: [far])
