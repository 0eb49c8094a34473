from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_mesh
from visagist.face.regions import region_masks
from visagist.face.topology import FACE_OVAL, mirror_index
from visagist.makeup.zones import PARTS, gain_map

ONES = dict.fromkeys(PARTS, 1.0)


@pytest.fixture(scope="module")
def mesh():
    return drawn_mesh(256, gape=14)


@pytest.fixture(scope="module")
def regions(mesh):
    return region_masks(mesh, 256)


def test_eyeballs_and_mouth_are_never_painted(mesh, regions):
    gain = gain_map(mesh, 256, ONES)
    for hole in (regions.eyes, regions.mouth):
        assert (hole > 0.99).sum() > 50
        assert gain[hole > 0.99].max() < 0.02


def test_outside_the_face_is_exactly_zero(mesh):
    gain = gain_map(mesh, 256, ONES)
    oval = mesh[list(FACE_OVAL), :2]
    y, x = np.mgrid[:256, :256] + 0.5
    centre, half = oval.mean(0), np.ptp(oval, axis=0) / 2
    outside = np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1]) > 1.3
    assert outside.any()
    assert (gain[outside] == 0).all()
    assert (gain[[0, -1]] == 0).all()
    assert (gain[:, [0, -1]] == 0).all()
    assert gain.max() == 1


@pytest.mark.parametrize("part", PARTS)
def test_a_slider_acts_on_its_part_only(mesh, regions, part):
    change = np.abs(gain_map(mesh, 256, ONES | {part: 0.0}) - gain_map(mesh, 256, ONES))
    mouth_corner = mesh[[61, 291], :2].round().astype(int)
    cheek = mesh[[50, 280], :2].round().astype(int)  # far from lips and eyes
    lid = mesh[[159, 386], :2].round().astype(int) - (0, 5)
    spots = {"skin": cheek, "eyes": lid}
    for name, points in spots.items():
        moved = change[points[:, 1], points[:, 0]]
        assert (moved > 0.9).all() if name == part else (moved < 0.05).all()
    lips = change[regions.lips > 0.99]
    assert lips.mean() > 0.9 if part == "lips" else lips.mean() < 0.05
    assert mouth_corner.shape == (2, 2)


def test_it_is_mirrored_for_a_mirrored_face(mesh):
    strengths = {"lips": 0.2, "eyes": 1.3, "skin": 0.6}
    flipped = mesh[mirror_index()] * (-1, 1, 1) + (256, 0, 0)
    got = gain_map(flipped, 256, strengths)[:, ::-1]
    assert np.abs(got - gain_map(mesh, 256, strengths)).max() < 0.02


FACTOR = st.floats(0, 1.5)


@settings(max_examples=15, deadline=None)
@given(FACTOR, FACTOR, FACTOR)
def test_the_gain_lies_between_zero_and_the_strongest_part(lips, eyes, skin):
    gain = gain_map(drawn_mesh(128), 128, {"lips": lips, "eyes": eyes, "skin": skin})
    assert gain.dtype == np.float32
    assert gain.min() >= 0
    assert gain.max() <= max(lips, eyes, skin) * 1.0001


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 1.5))
def test_equal_sliders_are_one_slider(strength):
    mesh = drawn_mesh(128)
    got = gain_map(mesh, 128, dict.fromkeys(PARTS, strength))
    assert np.allclose(got, strength * gain_map(mesh, 128, ONES), atol=1e-5)
