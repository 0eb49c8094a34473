"""The bundled network on a face that is nobody's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from visagist.errors import ModelDamagedError
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.types import Detection
from visagist.makeup.preview import drawn_face
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import open_model


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """(720, 640, 3) with the drawn face 400 pixels wide, and its mesh."""
    face, mesh = drawn_face()
    picture = np.empty((720, 640, 3), np.uint8)
    picture[:] = face[0, 0]
    picture[160:560, 120:520] = np.asarray(Image.fromarray(face).resize((400, 400)))
    placed = mesh * (400 / 512)
    return picture, (placed + np.array([120, 160, 0])).astype(np.float32)


def box_of(mesh: np.ndarray) -> tuple[float, float, float, float]:
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def error(found: np.ndarray, mesh: np.ndarray) -> float:
    eyes = np.linalg.norm(mesh[[33, 133], :2].mean(0) - mesh[[362, 263], :2].mean(0))
    return float(np.median(np.linalg.norm(found[:, :2] - mesh[:, :2], axis=1)) / eyes)


@pytest.mark.parametrize("points", [True, False], ids=["five points", "box only"])
def test_it_finds_the_drawn_face(scene, points):
    picture, mesh = scene
    five = np.stack(
        [mesh[[33, 133], :2].mean(0), mesh[[362, 263], :2].mean(0), *mesh[[1, 61, 291], :2]]
    )
    detection = Detection(box_of(mesh), 1.0, five if points else None)
    found, confidence = MeshPredictor.from_pretrained().predict(picture, detection)
    assert found.shape == (478, 3)
    assert found.dtype == np.float32
    assert error(found, mesh) < 0.12
    assert 0 <= confidence <= 1


def test_from_a_label_only_the_place_is_taken(scene):
    picture, mesh = scene
    predictor = MeshPredictor.from_pretrained()
    found = predictor.predict_near(picture, mesh)
    assert error(found, mesh) < 0.12
    assert np.array_equal(found, predictor.predict_near(picture, mesh[:, :2]))


def test_where_there_is_no_face_it_is_less_sure(scene):
    picture, mesh = scene
    predictor = MeshPredictor.from_pretrained()
    _, right = predictor.predict(picture, Detection(box_of(mesh), 1.0))
    wall = np.full_like(picture, 128)
    _, wrong = predictor.predict(wall, Detection(box_of(mesh), 1.0))
    assert wrong < 0.2 < right


def test_a_config_without_its_fields_is_refused(tmp_path):
    files = open_model("face-mesh")
    (tmp_path / "model.onnx").write_bytes(files.onnx)
    (tmp_path / "config.json").write_text(json.dumps({"input_size": 128}))
    write_manifest(tmp_path, name="face-mesh", version="1", licence="x", created_by="a test")
    with pytest.raises(ModelDamagedError, match="field"):
        MeshPredictor(open_model(tmp_path))
