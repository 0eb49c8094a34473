"""The recogniser on drawn people, with the real networks that find faces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.recognition.made_people import DIMENSION, person, write_model
from tests.recognition.made_vectors import made
from tests.runtime.small_models import doubling_model
from visagist import Photo, Recognizer
from visagist.errors import (
    CalibrationError,
    FaceChoiceError,
    InputError,
    ModelDamagedError,
    NoFaceError,
    PoorPictureError,
)
from visagist.face.align import crop
from visagist.face.find import find_faces
from visagist.recognition.calibrating import calibrate
from visagist.recognition.calibration import Calibration
from visagist.recognition.calibration_store import (
    add_to_model,
    user_calibration,
    write_calibration,
)
from visagist.recognition.crop import recognition_crop
from visagist.recognition.quality import QualityGate
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import open_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "drawn")


@pytest.fixture(scope="module")
def recognizer(folder):
    return Recognizer.from_pretrained(folder)


def two() -> np.ndarray:
    """Two faces, the larger one on the right."""
    small = np.asarray(Image.fromarray(person(1)).resize((180, 180)))
    picture = np.empty((240, 420, 3), np.uint8)
    picture[:] = small[0, 0]
    picture[:, 180:] = person(2)
    picture[30:210, :180] = small
    return picture


def test_a_template_says_whose_vector_it_is(recognizer):
    pixels = person(0)
    template = recognizer.template(Photo.from_array(pixels))
    assert (template.vector.shape, template.vector.dtype) == ((DIMENSION,), np.float32)
    assert np.linalg.norm(template.vector) == pytest.approx(1, abs=1e-5)
    assert template.model_id == recognizer.model_id
    assert (recognizer.embed(pixels, template.face) == template.vector).all()
    assert 110 < template.quality.face_width < 160


def test_one_person_is_nearer_than_two(recognizer):
    first, again, other = (
        recognizer.template(person(n, s)).vector for n, s in ((3, 0), (3, 1), (4, 0))
    )
    assert first @ again > 0.9
    assert first @ other < 0.6


def test_the_view_is_that_of_the_canonical_alignment(recognizer):
    pixels = person(5)
    (face,) = find_faces(pixels)
    view = crop(pixels, recognition_crop(face.alignment()))
    assert (recognizer.embed_view(view) == recognizer.embed(pixels, face)).all()


def test_flip_averages_both_views_and_is_another_model(folder, recognizer):
    flipping = Recognizer.from_pretrained(folder, flip=True)
    pixels = person(6)
    (face,) = find_faces(pixels)
    view = crop(pixels, recognition_crop(face.alignment()))
    both = recognizer.embed_view(view) + recognizer.embed_view(view[:, ::-1])
    assert flipping.embed_view(view) == pytest.approx(both / np.linalg.norm(both), abs=1e-6)
    assert flipping.embed_view(view) == pytest.approx(flipping.embed_view(view[:, ::-1]), abs=1e-6)
    assert flipping.model_id != recognizer.model_id


def test_the_model_id_changes_with_the_weights_alone(folder, recognizer, tmp_path):
    assert recognizer.model_id.startswith("drawn-1.0-")
    again = write_model(tmp_path / "again")
    (again / "card.md").write_text("words")
    write_manifest(again, name="drawn", version="1.0", licence="CC0-1.0", created_by="a test")
    assert Recognizer.from_pretrained(again).model_id == recognizer.model_id
    other = Recognizer.from_pretrained(write_model(tmp_path / "other", seed=6))
    assert other.model_id != recognizer.model_id


def test_no_face(recognizer):
    with pytest.raises(NoFaceError):
        recognizer.template(np.full((120, 120, 3), 128, np.uint8))


def test_of_several_faces_one_is_picked(recognizer):
    pixels = two()
    with pytest.raises(
        FaceChoiceError, match=r"2 faces.*left to right: 1 \(\d+ pixels.*, 0 \("
    ) as error:
        recognizer.template(pixels)
    assert "pick" in str(error.value)
    largest = recognizer.template(pixels, pick=0)
    assert largest.face.mesh[:, 0].min() > 180
    assert recognizer.template(pixels, pick=1).face.mesh[:, 0].max() < 180
    assert largest.vector @ recognizer.template(person(2)).vector > 0.95
    with pytest.raises(FaceChoiceError, match="no face 2"):
        recognizer.template(pixels, pick=2)


def test_a_poor_picture_is_refused_unless_asked_otherwise(recognizer):
    dark = (person(0) * 0.04).astype(np.uint8)
    faces = find_faces(person(0))
    with pytest.raises(PoorPictureError, match="too dark") as error:
        recognizer.template_of(dark, faces[0])
    assert error.value.reason == "too_dark"
    assert recognizer.template_of(dark, faces[0], gate=False).quality.luminance < 8


def test_a_gate_of_ones_own(folder):
    strict = Recognizer(open_model(folder), gate=QualityGate(min_face_width=300))
    with pytest.raises(PoorPictureError, match="at least 300"):
        strict.template(person(0))


@pytest.mark.parametrize("view", [np.zeros((96, 96, 3), np.uint8), np.zeros((112, 112, 3))])
def test_another_view_is_refused(recognizer, view):
    with pytest.raises(InputError, match="112, 112, 3"):
        recognizer.embed_view(view)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kind": "makeup", "embedding": DIMENSION}, "no recognition model"),
        ({"kind": "recognizer", "embedding": 7}, "embedding is 7"),
        ({"kind": "recognizer"}, "embedding is None"),
    ],
)
def test_another_model_is_refused(tmp_path, config, words):
    folder = write_model(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(config))
    write_manifest(folder, name="drawn", version="1", licence="CC0-1.0", created_by="a test")
    with pytest.raises(ModelDamagedError, match=words):
        Recognizer.from_pretrained(folder)


def test_a_network_that_reads_something_else_is_refused(tmp_path):
    folder = write_model(tmp_path / "m")
    (folder / "model.onnx").write_bytes(doubling_model().SerializeToString())
    write_manifest(folder, name="drawn", version="1", licence="CC0-1.0", created_by="a test")
    with pytest.raises(ModelDamagedError, match="112x112"):
        Recognizer.from_pretrained(folder)


def calibration_of(recognizer) -> Calibration:
    """Of made vectors, at whose threshold drawn people are told apart."""
    vectors, names = made(120, 1)
    return calibrate(vectors, names, model_id=recognizer.model_id, data="made vectors")


def test_verifying_says_what_the_decision_is_worth(folder, recognizer):
    calibration = calibration_of(recognizer)
    sure = Recognizer(open_model(folder), calibration=calibration)
    mates = sure.verify(person(3), Photo.from_array(person(3, 1)), far=1e-3)
    strangers = sure.verify(sure.template(person(3)), person(9), far=1e-3)
    promised = calibration.threshold(far=1e-3)
    for answer in (mates, strangers):
        assert answer.threshold == promised.value
        assert (answer.far, answer.far_interval) == (1e-3, promised.interval)
        assert answer.data == "made vectors"
    assert mates.same and mates.score >= mates.threshold
    assert not strangers.same and strangers.score < strangers.threshold
    assert sure.verify(person(3), person(3)).score == pytest.approx(1, abs=1e-5)
    with pytest.raises(CalibrationError, match="needs 3,000,000 pairs"):
        sure.verify(person(3), person(9), far=1e-6)


def test_without_a_calibration_there_is_no_decision(recognizer, tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path))
    with pytest.raises(CalibrationError, match="visagist calibrate"):
        recognizer.verify(person(0), person(1))


def test_the_users_own_calibration_comes_before_the_models(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    model = write_model(tmp_path / "m")
    recognizer = Recognizer.from_pretrained(model)
    shipped = calibration_of(recognizer)
    add_to_model(shipped, open_model(model))
    again = Recognizer.from_pretrained(model)
    assert again.model_id == recognizer.model_id
    assert again.calibration == shipped
    own = shipped.model_copy(update={"data": "my own"})
    write_calibration(own, user_calibration(recognizer.model_id))
    assert Recognizer.from_pretrained(model).calibration == own
    flipping = Recognizer.from_pretrained(model, flip=True)
    with pytest.raises(CalibrationError, match="scores of two models"):
        flipping.verify(person(0), person(1))


def test_what_another_model_made_is_refused(folder, recognizer, tmp_path):
    other = Recognizer.from_pretrained(write_model(tmp_path / "other", seed=6))
    with pytest.raises(CalibrationError, match=f"made for the model {recognizer.model_id}"):
        Recognizer(open_model(tmp_path / "other"), calibration=calibration_of(recognizer))
    sure = Recognizer(open_model(folder), calibration=calibration_of(recognizer))
    with pytest.raises(InputError, match=f"of the model {other.model_id}"):
        sure.verify(other.template(person(0)), person(0))
