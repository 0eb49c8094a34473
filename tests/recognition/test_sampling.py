"""The sampler's groups are neighbours and its weights even out what is rare."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.corpus.small_corpus import drawn_sample, write_corpus
from visagist.recognition import sampling
from visagist.recognition.config import DistillConfig
from visagist.recognition.sampling import Sampler, nearest, tone_shares


def vectors(count, seed=0):
    return F.normalize(torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("block", [7, 1024])
def test_the_nearest_are_those_of_the_largest_cosine(monkeypatch, block):
    monkeypatch.setattr(sampling, "_BLOCK", block)
    some = vectors(40)
    found = nearest(some * 3, 5).numpy()
    cosines = (some.double() @ some.double().T).numpy()
    np.fill_diagonal(cosines, -9)
    assert (found == np.argsort(-cosines, axis=1)[:, :5]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**31))
def test_every_member_of_a_group_is_near_to_its_first(group, groups, seed):
    some = vectors(30)
    config = DistillConfig(batch=max(2, group * groups * 2), group=group, near=6)
    drawn = Sampler(config, some).draw(torch.Generator().manual_seed(seed))
    assert drawn.shape == (config.batch,) and drawn.min() >= 0 and drawn.max() < 30
    near = nearest(some, 6)
    for first, *others in drawn.reshape(-1, group).tolist():
        assert all(other in near[first] and other != first for other in others)


def test_groups_of_one_draw_as_without_groups():
    drawn = Sampler(DistillConfig(batch=8), vectors(50)).draw(torch.Generator().manual_seed(3))
    assert torch.equal(drawn, torch.randint(50, (8,), generator=torch.Generator().manual_seed(3)))


def test_a_batch_that_groups_do_not_fill_is_refused():
    with pytest.raises(ValidationError, match="groups of 5"):
        DistillConfig(batch=64, group=5)


@pytest.fixture(scope="module")
def toned(tmp_path_factory):
    faces = []
    for number, (tone, colour) in enumerate([(-50, 20), *[(60, 20)] * 6, (90, 0.1)]):
        sample = drawn_sample(number)
        quality = replace(sample.quality, tone=tone, skin_a=colour, skin_b=colour)
        faces.append((replace(sample, quality=quality), "train"))
    root = write_corpus(tmp_path_factory.mktemp("toned") / "corpus", faces)
    return root, [sample.key for sample, _ in faces]


def test_a_rare_tone_is_drawn_as_often_as_a_common_one(toned):
    root, keys = toned
    weights = tone_shares([root], keys, 1.0)
    assert weights is not None
    np.testing.assert_allclose(weights, [0.5, *[0.5 / 6] * 6, 0], atol=1e-12)
    some = vectors(8)
    sampler = Sampler(DistillConfig(batch=4000, even_tones=1.0), some, weights)
    drawn = sampler.draw(torch.Generator().manual_seed(0))
    assert (drawn == 0).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert not (drawn == 7).any()


def test_a_share_leaves_the_others_as_the_corpus_has_them(toned):
    root, keys = toned
    weights = tone_shares([root], keys, 0.4)
    assert weights is not None
    np.testing.assert_allclose(weights[[0, 1, 7]], [0.275, 0.075 + 0.2 / 6, 0.075], atol=1e-12)
    assert tone_shares([root], keys, 0.0) is None
