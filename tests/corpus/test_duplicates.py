from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.corpus.build.people import CHANGES, ZOOM, picture
from visagist.corpus.duplicates import (
    candidate_pairs,
    compare,
    comparison_view,
    likely_pairs,
    thumbnail_correlation,
)
from visagist.corpus.fingerprints import fingerprint, mirror_mask, thumbnail
from visagist.errors import InputError


def differing(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_the_bits_of_the_mirror_image_are_known():
    for looks in range(5):
        image = picture(looks)
        mirrored = np.ascontiguousarray(image[:, ::-1])
        found = fingerprint(mirrored, ZOOM) ^ mirror_mask()
        assert differing(found, fingerprint(image, ZOOM)) <= 1  # a sign at zero may go either way


def test_copies_have_like_bits_and_thumbnails_and_others_do_not():
    images = [picture(looks) for looks in range(10)]
    bits = [fingerprint(image, ZOOM) for image in images]
    for one, other in combinations(bits, 2):
        assert differing(one, other) > 7
    for change in ("encoded", "halved", "grey", "darker"):
        copies = [CHANGES[change](image) for image in images]
        for copy, image, own in zip(copies, images, bits, strict=True):
            assert differing(fingerprint(copy, ZOOM), own) <= 7
            pair = [thumbnail(x, ZOOM).reshape(1, -1) for x in (copy, image)]
            assert thumbnail_correlation(*pair)[0] > 0.95


@pytest.mark.parametrize("radius", [0, 3, 5, 7])
def test_candidates_are_all_near_pairs(radius):
    draw = np.random.default_rng(radius)
    bits = draw.integers(0, 2**64, 120, dtype=np.uint64)
    for k in range(0, 100, 2):  # neighbours at every distance, some of them mirrored
        flips = draw.choice(64, k % 11, replace=False)
        mask = sum(1 << int(f) for f in flips) ^ (mirror_mask() if k % 4 else 0)
        bits[k + 1] = bits[k] ^ np.uint64(mask)
    found = {
        (int(a), int(b))
        for i, j in candidate_pairs(bits, radius)
        for a, b in zip(i, j, strict=True)
    }
    wanted = {
        (i, j)
        for i, j in combinations(range(len(bits)), 2)
        if min(
            differing(int(bits[i]), int(bits[j])),
            differing(int(bits[i]), int(bits[j]) ^ mirror_mask()),
        )
        <= radius
    }
    assert found == wanted
    assert wanted


def test_a_radius_that_cannot_be_guaranteed_is_refused():
    with pytest.raises(InputError, match="7 bits"):
        list(candidate_pairs(np.zeros(2, np.uint64), 8))


def test_many_equal_pictures_are_compared_in_blocks(monkeypatch):
    monkeypatch.setattr("visagist.corpus.duplicates._BLOCK", 50)
    bits = np.zeros(40, np.uint64)
    assert (
        len(likely_pairs(bits, np.tile(np.arange(256, dtype=np.uint8), (40, 1)), radius=7)) == 780
    )


def test_no_pictures_have_no_pairs():
    empty = np.empty((0, 256), np.uint8)
    assert likely_pairs(np.empty(0, np.uint64), empty, radius=7).shape == (0, 2)


def test_copies_agree_everywhere_once_they_are_laid_over_each_other():
    for looks, change in enumerate(CHANGES):
        one = picture(looks)
        found = compare(comparison_view(one, ZOOM), comparison_view(CHANGES[change](one), ZOOM))
        assert found.least > 0.93, change


def test_others_do_not_agree():
    for looks in range(6):
        views = [comparison_view(picture(looks + k), ZOOM) for k in (0, 1)]
        assert compare(*views).whole < 0.9


def test_one_picture_with_another_mouth_is_a_sitting_and_no_copy():
    one = picture(1)
    other = one.copy()
    other[84:104, 44:84] = other[84:104, 44:84][::-1]
    found = compare(comparison_view(one, ZOOM), comparison_view(other, ZOOM))
    assert found.whole > 0.8
    assert found.least < 0.5


def test_a_blank_picture_is_like_nothing():
    blank = np.full((128, 128), 7, np.float32)
    assert compare(blank, comparison_view(picture(0), ZOOM)).whole < 0.5
