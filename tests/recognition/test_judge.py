from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest

from tests.recognition.made_people import person, write_model
from visagist.errors import ModelMissingError
from visagist.face.find import find_faces
from visagist.recognition.inference import Recognizer
from visagist.recognition.judge import recognition_judge


def test_gives_the_recognisers_own_vector_from_a_mesh(tmp_path):
    folder = write_model(tmp_path / "drawn")
    # A function that other processes can be given.
    judge = pickle.loads(pickle.dumps(partial(recognition_judge, str(folder))))()
    picture = person(1)
    face = find_faces(picture)[0]
    wanted = Recognizer.from_pretrained(folder).embed(picture, face)
    np.testing.assert_allclose(judge(picture, face.mesh), wanted, atol=1e-5)


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(ModelMissingError, match="nobody"):
        recognition_judge("nobody")
