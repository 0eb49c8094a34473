import numpy as np
import pytest

from tests.amplify.pairs import error, face, look, truth
from visagist.amplify.backend import BACKENDS, open_backend
from visagist.amplify.mesh_transfer import FILE, MeshBackend
from visagist.errors import InputError, ModelDamagedError, ModelMissingError


@pytest.fixture(scope="module")
def style():
    return MeshBackend().fit([look(i) for i in range(5)])


def test_most_of_a_style_reaches_a_new_face(style):
    bare = face(30)
    change = style.render([bare])[0]
    assert error(change, truth(30)) < 0.5 * error(0 * change, truth(30))


def test_strength_is_a_factor_and_nothing_is_random(style):
    faces = [face(30), face(31)]
    full = style.render(faces, seed=1)
    assert full.shape == (2, 256, 256, 3)
    assert np.allclose(style.render(faces, strength=0.5, seed=2), 0.5 * full)


def test_no_face_gives_no_change(style):
    assert style.render([]).shape == (0, 256, 256, 3)


def test_a_saved_style_is_the_same_within_half_precision(style, tmp_path):
    style.save(tmp_path / "style")
    again = MeshBackend().load(tmp_path / "style")
    assert np.abs(again.render([face(30)]) - style.render([face(30)])).max() < 0.5


def test_a_missing_or_damaged_style_is_refused(style, tmp_path):
    with pytest.raises(ModelMissingError):
        MeshBackend().load(tmp_path)
    style.save(tmp_path)
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelDamagedError):
        MeshBackend().load(tmp_path)
    np.savez(tmp_path / FILE, base=np.zeros(3), change=np.zeros(3), slope=np.zeros(3), known=1)
    with pytest.raises(ModelDamagedError, match="another size"):
        MeshBackend().load(tmp_path)


def test_backends_are_opened_by_name():
    assert open_backend("mesh").name == "mesh"
    with pytest.raises(InputError, match=", ".join(BACKENDS)):
        open_backend("oil")
