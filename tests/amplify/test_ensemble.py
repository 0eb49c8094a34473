from __future__ import annotations

import numpy as np
import pytest

from tests.amplify.pairs import error, face, look, truth
from tests.amplify.quick import quick_recipe
from visagist.amplify import ensemble
from visagist.amplify.backend import BACKENDS, DEFAULT, Look, open_backend
from visagist.amplify.ensemble import STUDENT, EnsembleBackend, EnsembleConfig
from visagist.amplify.layers import Canvas
from visagist.amplify.mesh_transfer import FILE, MeshBackend
from visagist.errors import InputError, ModelDamagedError, ModelMissingError
from visagist.training.run import WEIGHTS

SHORT = EnsembleConfig(steps=12)
NEW = face(30)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "student_recipe", quick_recipe)
        yield


@pytest.fixture(scope="module")
def style():
    return EnsembleBackend(SHORT).fit([look(i) for i in range(5)])


def test_it_is_the_default():
    assert DEFAULT == "ensemble"
    assert DEFAULT in BACKENDS
    assert isinstance(open_backend(DEFAULT), EnsembleBackend)


def test_a_style_is_the_mean_of_layers_and_network(style):
    layers = MeshBackend().fit([look(i) for i in range(5)]).render([NEW])[0]
    drawn = style._drawn(NEW.crop[None])[0] * Canvas(NEW.crop, NEW.mesh).allowed[..., None]
    assert np.abs(drawn).max() > 5
    assert np.allclose(style.render([NEW])[0], (layers + drawn) / 2, atol=1e-3)
    assert error(style.render([NEW])[0], truth(30)) < 0.7 * error(0 * drawn, truth(30))


def test_nothing_is_painted_where_nothing_may_be(style):
    outside = Canvas(NEW.crop, NEW.mesh).allowed == 0
    assert outside.any()
    assert not style.render([NEW])[0][outside].any()


def test_strength_is_a_factor_and_batches_do_not_matter(style):
    faces = [face(i) for i in range(30, 39)]
    full = style.render(faces, seed=1)
    assert full.shape == (9, 256, 256, 3)
    assert np.allclose(style.render(faces, strength=0.5, seed=2), 0.5 * full, atol=1e-4)
    assert np.allclose(style.render(faces[8:])[0], full[8], atol=1e-2)
    assert style.render([]).shape == (0, 256, 256, 3)


def test_places_that_a_look_does_not_show_are_not_learned():
    one = look(3)
    nothing = Look(one.name, one.before, one.after, one.mesh, np.zeros_like(one.valid))
    bare, made_up = ensemble._targets([nothing])[0]
    assert np.array_equal(bare, made_up)
    bare, made_up = ensemble._targets([one])[0][:, 16:-16, 16:-16]
    assert np.array_equal(bare, one.before)
    assert np.array_equal(made_up, one.after)


def test_a_saved_style_is_the_same_within_half_precision(style, tmp_path):
    style.save(tmp_path / "style")
    again = EnsembleBackend(SHORT).load(tmp_path / "style")
    assert np.abs(again.render([NEW]) - style.render([NEW])).max() < 0.5


def test_a_stopped_fit_goes_on(tmp_path):
    looks = [look(i) for i in range(2)]
    seen: list[int] = []

    def stops(step: int, total: int) -> None:
        seen.append(step)
        if step >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EnsembleBackend(SHORT, work=tmp_path).fit(looks, progress=stops)
    later: list[int] = []
    made = EnsembleBackend(SHORT, work=tmp_path).fit(looks, progress=lambda s, _: later.append(s))
    assert min(later) > min(seen)
    whole = EnsembleBackend(SHORT).fit(looks)
    assert np.abs(made.render([NEW]) - whole.render([NEW])).max() < 0.5


def test_what_cannot_be_is_refused(style, tmp_path):
    with pytest.raises(InputError, match="at least one pair"):
        EnsembleBackend(SHORT).fit([])
    with pytest.raises(ModelMissingError):
        EnsembleBackend().load(tmp_path)
    MeshBackend().fit([look(0)]).save(tmp_path / "layers")
    with pytest.raises(ModelMissingError, match=STUDENT):
        EnsembleBackend().load(tmp_path / "layers")
    style.save(tmp_path / "whole")
    weights = tmp_path / "whole" / STUDENT / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelDamagedError):
        EnsembleBackend().load(tmp_path / "whole")
    (tmp_path / "whole" / FILE).unlink()
    with pytest.raises(ModelMissingError):
        EnsembleBackend().load(tmp_path / "whole")
