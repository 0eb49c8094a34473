import numpy as np
import pytest

from tests.amplify.pairs import face, look
from visagist.amplify.gates import REASONS, GateConfig, Gates, expect
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.errors import InputError

CONFIG = GateConfig()
LOOKS = [look(i) for i in range(4)]
FACE, MADE = face(20), look(20).after
ALLOWED = changed_mask(makeup_masks(FACE.mesh))[..., None]
CHANGE = MADE.astype(np.float32) - FACE.crop


def embed(picture, mesh):
    """A vector of the coarse middle of the face: what makes two alike to a simple eye."""
    middle = picture[120:216, 88:168].reshape(6, 16, 5, 16, 3).mean((1, 3))
    coarse = (middle - middle.mean((0, 1))).ravel()
    return (coarse / np.linalg.norm(coarse)).astype(np.float32)


@pytest.fixture(scope="module")
def gates():
    return Gates(expect(LOOKS, embed, CONFIG), embed, CONFIG)


def picture(values):
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def test_makeup_as_in_the_looks_passes_with_its_figures(gates):
    verdict = gates.check(FACE, MADE, strength=1.0)
    assert verdict.reasons == ()
    assert set(verdict.scores) == {
        "outside", "protected", "direction", "amount", "cosine",
    }  # fmt: skip
    assert verdict.scores["amount"] == pytest.approx(1.0, abs=0.5)
    assert verdict.scores["direction"] > 0.7


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (FACE.crop + ALLOWED * (255.0 - 2.0 * FACE.crop), "identity"),
        (MADE + (1 - ALLOWED) * np.float32([6, -4, 5]), "outside"),
        (FACE.crop - CHANGE, "colour"),
        (FACE.crop + 0.1 * CHANGE, "no_makeup"),
    ],
)
def test_each_fault_has_its_reason(gates, wrong, reason):
    assert reason in gates.check(FACE, picture(wrong), strength=1.0).reasons


def test_paint_on_the_eyeballs_counts_as_outside(gates):
    made = MADE.copy()
    iris = FACE.mesh[468, :2].astype(int)
    made[iris[1] - 4 : iris[1] + 4, iris[0] - 7 : iris[0] + 7, 2] ^= 128
    verdict = gates.check(FACE, made, strength=1.0)
    assert "outside" in verdict.reasons
    assert verdict.scores["protected"] > CONFIG.max_protected


def test_the_second_of_two_equal_samples_is_a_copy(gates):
    near = picture(FACE.crop + 0.99 * CHANGE)
    assert gates.check(FACE, near, strength=1.0, earlier=[MADE]).reasons == ("copy",)
    far = picture(FACE.crop + 0.8 * CHANGE)
    assert gates.check(FACE, far, strength=0.8, earlier=[MADE]).reasons == ()


def test_weak_samples_are_compared_with_weak_looks(gates):
    half = picture(FACE.crop + 0.4 * CHANGE)
    assert "no_makeup" not in gates.check(FACE, half, strength=0.4).reasons


def test_looks_that_do_not_agree_give_no_direction():
    back = [type(one)(one.name, one.after, one.before, one.mesh, one.valid) for one in LOOKS[:2]]
    mixed = expect([*LOOKS[:2], *back], None, CONFIG)
    assert not mixed.directions
    assert set(expect(LOOKS, None, CONFIG).directions) <= {"lips", "eyes", "skin"}


def test_without_an_embedder_identity_is_not_judged():
    blind = Gates(expect(LOOKS, None, CONFIG), None, CONFIG)
    verdict = blind.check(FACE, MADE, strength=1.0)
    assert "cosine" not in verdict.scores
    assert set(verdict.reasons) <= set(REASONS)


def test_gates_need_a_look():
    with pytest.raises(InputError):
        expect([], None, CONFIG)


def test_a_bare_face_is_embedded_once_for_all_its_samples(monkeypatch):
    seen = []

    def counting(picture, mesh):
        seen.append(picture)
        return embed(picture, mesh)

    judged = Gates(expect(LOOKS, embed, CONFIG), counting, CONFIG)
    for _ in range(3):
        judged.check(FACE, MADE, strength=1.0)
    assert len(seen) == 4
    monkeypatch.setattr("visagist.amplify.gates._REMEMBERED", 1)
    for number in (21, 20):
        judged.check(face(number), look(number).after, strength=1.0)
    assert len(seen) == 8
