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


def test_the_slope_helps_on_skins_that_no_pair_has():
    looks = [look(i) for i in range(5)]
    layers = lift_layers(looks)
    total = sum((evidence(other) for other in looks[1:]), evidence(looks[0]))
    flat = total.layers(ridge=1e9, cover=0)
    assert np.abs(flat.slope).max() < 1e-3
    faces = [20, 21, 22, 23]
    own = [error(Canvas(face(i).crop, face(i).mesh).lay(layers), truth(i)) for i in faces]
    mean = [error(Canvas(face(i).crop, face(i).mesh).lay(flat), truth(i)) for i in faces]
    assert np.mean(own) < 0.9 * np.mean(mean)
    assert np.mean(own) < 0.5 * np.mean([error(0 * truth(i), truth(i)) for i in faces])


def test_one_pair_expects_what_darkens_to_cover():
    layers = evidence(painted(0, 0.0, (-60, -60, -60))).layers(mirror=0)
    dark = (layers.known > 0.9) & (layers.base[..., 0] > 120)
    wanted = -0.6 * 60 / layers.base[dark]
    assert np.abs(layers.slope[dark] - wanted).mean() < 0.05
    assert np.abs(evidence(painted(0, 0.0, (0, 0, 0))).layers().slope).max() < 1e-3


def half_painted(number, columns):
    """A look that is painted on some columns of the crop only."""
    whole = painted(number, 0.0, (0, -50, 0))
    after = whole.before.copy()
    after[:, columns] = whole.after[:, columns]
    return Look(whole.name, whole.before, after, whole.mesh, whole.valid)


def test_the_halves_of_one_pair_are_heard_together_where_they_agree_and_only_there():
    whole = evidence(painted(0, 0.0, (0, -50, 0)))
    alone, heard = whole.layers(mirror=0), whole.layers()
    mean = (alone.change + alone.change[:, ::-1]) / 2
    assert np.abs(heard.change - mean).mean() < 0.97 * np.abs(alone.change - mean).mean()
    one_sided = evidence(half_painted(0, slice(0, 128)))
    alone, heard = one_sided.layers(mirror=0), one_sided.layers()
    clear = (alone.known > 0.9) & (np.abs(np.arange(320) - 160) > 60)
    # 3 % of a change of 50 levels comes over from the half that has none
    assert np.quantile(np.abs(heard.change - alone.change)[clear], 0.9) < 1.5


def test_a_half_that_no_look_shows_is_taken_from_the_other():
    look_ = painted(0, 0.0, (0, -50, 0))
    valid = np.zeros((256, 256), np.float32)
    valid[:, :128] = 1
    shown = evidence(look_, valid)
    alone, heard = shown.layers(mirror=0), shown.layers()
    hidden = (alone.known < 0.01) & (heard.known > 0.45)
    assert hidden.sum() > 2000
    assert np.median(heard.change[hidden][:, 1]) < -45


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
