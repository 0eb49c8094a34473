import numpy as np
import pytest

from tests.amplify.pairs import error, face, look, truth
from visagist.amplify.backend import Look
from visagist.amplify.layers import Canvas, evidence, lift_layers
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.errors import InputError


def painted(number, slope, offset):
    """A look whose change is an affine function of the colour below, the same everywhere."""
    bare = face(number)
    change = slope * bare.crop.astype(np.float32) + np.float32(offset)
    after = np.clip(np.rint(bare.crop + change), 0, 255).astype(np.uint8)
    return Look(bare.key, bare.crop, after, bare.mesh, np.ones((256, 256), np.float32))


def test_colour_and_opacity_are_found_again():
    layers = lift_layers([painted(i, -0.5, (60, 40, 30)) for i in range(6)])
    bare = face(11)
    wanted = -0.5 * bare.crop.astype(np.float32) + np.float32([60, 40, 30])
    allowed = changed_mask(makeup_masks(bare.mesh)) > 0.999
    laid = Canvas(bare.crop, bare.mesh).lay(layers)
    assert np.abs(laid - wanted)[allowed].mean() < 2.0


def test_the_slope_helps_on_skins_that_no_pair_has_and_is_left_out_for_one_pair():
    looks = [look(i) for i in range(5)]
    layers = lift_layers(looks)
    flat = sum((evidence(other) for other in looks[1:]), evidence(looks[0])).layers(ridge=1e9)
    assert np.abs(flat.slope).max() < 1e-3
    faces = [20, 21, 22, 23]
    own = [error(Canvas(face(i).crop, face(i).mesh).lay(layers), truth(i)) for i in faces]
    mean = [error(Canvas(face(i).crop, face(i).mesh).lay(flat), truth(i)) for i in faces]
    assert np.mean(own) < 0.9 * np.mean(mean)
    assert np.mean(own) < 0.5 * np.mean([error(0 * truth(i), truth(i)) for i in faces])


def test_nothing_is_painted_on_eyeballs_between_lips_or_outside():
    layers = lift_layers([painted(0, 0.0, (50, 50, 50))])
    bare = face(1)
    laid = Canvas(bare.crop, bare.mesh).lay(layers)
    assert np.all(laid[changed_mask(makeup_masks(bare.mesh)) == 0] == 0)
    assert np.abs(laid).max() > 40


def test_what_could_not_be_matched_counts_for_nothing():
    good = painted(0, 0.0, (30, 0, 0))
    spoiled = Look("x", good.before, 255 - good.before, good.mesh, np.zeros((256, 256), np.float32))
    alone, both = lift_layers([good]), lift_layers([good, spoiled])
    assert np.allclose(alone.change, both.change) and np.allclose(alone.known, both.known)


def test_evidence_adds_up_in_any_order():
    a, b = evidence(look(0)), evidence(look(1))
    assert np.allclose((a + b).layers().change, (b + a).layers().change, atol=1e-4)


def test_no_look_is_no_style():
    with pytest.raises(InputError, match="at least one pair"):
        lift_layers([])
