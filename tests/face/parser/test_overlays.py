from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import placed_face
from visagist.face.parser import overlays
from visagist.face.parser.classes import HAIR, IGNORE, OCCLUDER, SKIN
from visagist.face.parser.overlays import Canvas, Overlay, compose, draw

SIZE = 300


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    pixels, mesh = placed_face(0)
    return Canvas(mesh, SIZE, np.array([210, 160, 130], np.float32), (pixels,))


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


KINDS = ["glasses", "strands", "hand", "hat", "mask", "thing", "patch"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_covers_something_and_keeps_its_ranges(canvas, kind):
    for seed in range(3):
        made = getattr(overlays, kind)(canvas, rng(seed))
        for overlay in made if isinstance(made, list) else [made]:
            assert overlay.colour.shape == (SIZE, SIZE, 3)
            assert overlay.alpha.shape == (SIZE, SIZE)
            assert overlay.colour.min() >= 0
            assert overlay.colour.max() <= 255
            assert overlay.alpha.min() >= 0
            assert 0 < overlay.alpha.max() <= 1.001


def test_glasses_sit_on_the_eyes_and_clear_lenses_hide_nothing(canvas):
    hidden = []
    for seed in range(12):
        total = np.zeros((SIZE, SIZE), np.float32)
        for overlay in overlays.glasses(canvas, rng(seed)):
            assert overlay.number == OCCLUDER
            np.maximum(total, overlay.alpha, out=total)
        y = np.nonzero(total > 0.6)[0]
        eyes = np.stack(canvas.eyes())
        assert abs(y.mean() - eyes[:, 1].mean()) < canvas.gap * 0.5
        right, left = (total[int(e[1]), int(e[0])] for e in eyes)
        hidden.append(right > 0.6 and left > 0.6)
    assert True in hidden  # sunglasses
    assert False in hidden  # clear ones


def test_strands_are_hair(canvas):
    assert all(o.number == HAIR for o in overlays.strands(canvas, rng(1)))


def test_covered_pixels_take_the_label_and_the_colour_of_what_covers_them(canvas):
    view = np.full((SIZE, SIZE, 3), 100, np.uint8)
    labels = np.full((SIZE, SIZE), SKIN, np.uint8)
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[10:20], alpha[20] = 1.0, 0.4
    red = np.broadcast_to(np.array([250, 0, 0], np.float32), (SIZE, SIZE, 3))
    picture, known = compose(view, labels, [Overlay(red, alpha)], rng(0))
    assert (known[10:20] == OCCLUDER).all()
    assert (known[20] == IGNORE).all()
    assert (known[21:] == SKIN).all()
    assert (picture[10:20] == [250, 0, 0]).all()
    assert (picture[21:] == 100).all()
    assert (labels == SKIN).all()  # the arguments stay as they were


def test_the_same_seed_draws_the_same_things(canvas):
    first, second = draw(canvas, rng(5)), draw(canvas, rng(5))
    other = draw(canvas, rng(6))
    assert all(np.array_equal(a.alpha, b.alpha) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a.colour, b.colour) for a, b in zip(first, second, strict=True))
    assert len(first) != len(other) or not np.array_equal(first[0].alpha, other[0].alpha)
