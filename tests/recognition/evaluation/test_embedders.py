from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from tests.face.test_identity import tiny_embedder
from tests.recognition.made_people import person, write_model
from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.find import find_faces
from visagist.recognition.evaluation.embedders import Embedder, open_embedder
from visagist.recognition.inference import Recognizer
from visagist.runtime.manifest import write_manifest

COSINE = Embedder("c", lambda pixels, face: np.zeros(2, np.float32), 0.0)
DISTANCE = Embedder("d", COSINE.embed, 0.0, by_distance=True)
A = np.array([[1, 0], [3, 4]], np.float32)
B = np.array([[2, 0], [0, 1], [3, 4]], np.float32)


def test_cosines_do_not_depend_on_length_and_distances_do():
    assert COSINE.compare(A, B) == pytest.approx(np.array([[1, 0, 0.6], [0.6, 0.8, 1]]))
    expected = -np.array([[1, np.sqrt(2), np.sqrt(20)], [np.sqrt(17), np.sqrt(18), 0]])
    assert DISTANCE.compare(A, B) == pytest.approx(expected)


@pytest.mark.parametrize("embedder", [COSINE, DISTANCE])
def test_a_missing_vector_matches_nobody(embedder):
    missing = A.copy()
    missing[0] = np.nan
    scores = embedder.compare(missing, B)
    assert (scores[0] == -np.inf).all()
    assert (scores[1] == embedder.compare(A, B)[1]).all()
    assert (embedder.compare(B, missing)[:, 0] == -np.inf).all()


def test_a_model_folder_and_a_judge_open_by_their_kind(tmp_path):
    folder = write_model(tmp_path / "plain")
    pixels = person(1)
    face = find_faces(pixels)[0]
    ours = open_embedder(str(folder))
    assert ours.name == "plain"
    assert ours.megabytes == round((folder / "model.onnx").stat().st_size / 1e6, 2)
    assert ours.params is None
    assert (
        ours.embed(pixels, face) == Recognizer.from_pretrained(folder).embed(pixels, face)
    ).all()
    onnx.save(tiny_embedder(), tmp_path / "judge.onnx")
    judge = open_embedder(str(tmp_path / "judge.onnx"))
    assert judge.name == "judge"
    assert np.linalg.norm(judge.embed(pixels, face)) == pytest.approx(1, abs=1e-5)


def test_the_number_of_parameters_is_the_configs(tmp_path):
    folder = write_model(tmp_path / "plain")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"params": 6336}))
    write_manifest(folder, name="drawn", version="1.0", licence="CC0-1.0", created_by="a test")
    assert open_embedder(str(folder)).params == 6336


def test_what_is_not_there_or_no_embedder_is_refused(tmp_path):
    with pytest.raises(ModelMissingError):
        open_embedder(str(tmp_path / "none.onnx"))
    with pytest.raises(ModelMissingError):
        open_embedder(str(tmp_path / "none"))
    onnx.save(tiny_embedder((1, 3, 64, 64)), tmp_path / "other.onnx")
    with pytest.raises(ModelDamagedError):
        open_embedder(str(tmp_path / "other.onnx"))
