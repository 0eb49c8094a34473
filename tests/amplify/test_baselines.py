from __future__ import annotations

import numpy as np
import pytest

from tests.amplify.pairs import error, face, look, truth
from visagist.amplify.backend import Look
from visagist.amplify.baselines import ColourTransfer, statistics
from visagist.errors import InputError
from visagist.face.regions import region_masks
from visagist.photo.colour import rgb_to_lab


def test_statistics_are_those_of_numpy_under_a_mask():
    lab = np.random.default_rng(0).normal(50, 9, (20, 30, 3)).astype(np.float32)
    weight = np.zeros((20, 30), np.float32)
    weight[5:12, 8:20] = 1
    mean, spread = statistics(lab, weight)
    inside = lab[5:12, 8:20].reshape(-1, 3).astype(np.float64)
    assert np.allclose(mean, inside.mean(0), atol=1e-4)
    assert np.allclose(spread, inside.std(0), atol=1e-4)


def test_a_face_of_the_pairs_gets_the_mean_colour_of_its_lips():
    pair = look(0)
    change = ColourTransfer.fit([pair]).render([face(0)])[0]
    made = np.clip(np.rint(pair.before + change), 0, 255).astype(np.uint8)
    lips = region_masks(pair.mesh, 256).lips
    wanted, _ = statistics(rgb_to_lab(pair.after), lips)
    got, _ = statistics(rgb_to_lab(made), lips)
    bare, _ = statistics(rgb_to_lab(pair.before), lips)
    assert np.linalg.norm(got - wanted) < 0.15 * np.linalg.norm(bare - wanted)


def test_it_beats_doing_nothing_on_a_stranger_and_leaves_the_rest_alone():
    stranger = face(9)
    change = ColourTransfer.fit([look(n) for n in range(3)]).render([stranger])[0]
    assert error(change, truth(9)) < 0.8 * error(np.zeros_like(change), truth(9))
    masks = region_masks(stranger.mesh, 256)
    outside = np.maximum.reduce([masks.skin, masks.lids, masks.brows, masks.lips]) == 0
    assert outside.any()
    assert not change[outside].any()


def test_no_face_gives_no_change():
    assert ColourTransfer.fit([look(0)]).render([]).shape == (0, 256, 256, 3)


def test_what_could_not_be_matched_does_not_count():
    pair = look(0)
    spoiled = pair.after.copy()
    spoiled[150:] = 0
    valid = np.ones((256, 256), np.float32)
    valid[150:] = 0
    fits = ColourTransfer.fit([look(1), Look("spoiled", pair.before, spoiled, pair.mesh, valid)])
    alone = ColourTransfer.fit([look(1)])
    assert np.allclose(fits.changes["lips"].shift, alone.changes["lips"].shift)


def test_no_pair_is_refused():
    with pytest.raises(InputError):
        ColourTransfer.fit([])
