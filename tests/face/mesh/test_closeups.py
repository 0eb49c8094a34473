import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.face.align import Alignment, transform_points
from visagist.face.mesh.closeups import (
    REGIONS,
    SIZE,
    Closeups,
    _from_behind,
    _view,
    mirrored_mesh,
    region_points,
    window,
)
from visagist.face.topology import LEFT_EYE, LIPS_OUTER, RIGHT_EYE, canonical_points


def photo(turn=0.0, roll=0.0, size=300):
    """A drawn face in a larger picture, rolled about its middle."""
    mesh = drawn_mesh(256, turn=turn)
    mesh[:, :2] += (size - 256) / 2
    angle = np.deg2rad(roll)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, size / 2)
    mesh[:, :2] = (mesh[:, :2] - middle) @ spin.T + middle
    return drawn_face(mesh, size), mesh.astype(np.float32)


class Oracle:
    """A session that knows where the points are."""

    def __init__(self, truth, width):
        self.truth, self.width = truth, width
        self.seen = {}

    def run(self, outputs, feed):
        self.seen = feed
        behind = mirrored_mesh(self.truth, self.width)
        eyes = [
            transform_points(self.left.matrix, self.truth[region_points("eye")[0], :2]),
            transform_points(self.right.matrix, behind[region_points("eye")[0], :2]),
        ]
        lips = transform_points(self.lips.matrix, self.truth[region_points("lips")[0], :2])
        return np.stack(eyes), lips[None]


def closeups(session):
    made = Closeups.__new__(Closeups)
    made._session = session
    return made


def test_the_regions_hold_what_makeup_is_drawn_along():
    for name, fine in (("eye", LEFT_EYE), ("lips", LIPS_OUTER)):
        chosen, places, weight = region_points(name)
        assert set(fine) <= set(chosen.tolist())
        assert places.min() > 0 and places.max() < SIZE
        assert weight[np.isin(chosen, fine)].min() == 1  # no rim runs through them
    assert not set(RIGHT_EYE) & set(region_points("eye")[0].tolist())


@pytest.mark.parametrize("roll", [0.0, 35.0])
def test_points_move_to_where_the_network_sees_them(roll):
    pixels, truth = photo(turn=8, roll=roll)
    start = truth.copy()
    start[:, :2] += np.random.default_rng(0).normal(0, 1.0, (len(truth), 2))
    oracle = Oracle(truth, pixels.shape[1])
    oracle.left, oracle.lips = (window(start, REGIONS[n]) for n in ("eye", "lips"))
    oracle.right = window(mirrored_mesh(start, pixels.shape[1]), REGIONS["eye"])
    refined = closeups(oracle).refine(pixels, start)
    fine = [*LEFT_EYE, *RIGHT_EYE, *LIPS_OUTER]
    assert np.abs(refined - truth)[fine, :2].max() < 0.02
    outside = np.setdiff1d(np.arange(478), np.concatenate([region_points(n)[0] for n in REGIONS]))
    both = outside[~np.isin(outside, RIGHT_EYE)]
    far = [i for i in both if np.linalg.norm(truth[i, :2] - truth[RIGHT_EYE[0], :2]) > 80]
    assert far and np.allclose(refined[far], start[far], atol=1e-3)
    assert np.array_equal(refined[:, 2], start[:, 2])
    # what the network was shown is the face itself, both eyes from the same side
    assert oracle.seen["eyes"].shape == (2, 3, SIZE, SIZE)
    assert np.abs(oracle.seen["eyes"][0] - oracle.seen["eyes"][1]).mean() < 0.35


@given(st.floats(1.05, 3.0), st.floats(-20, 20), st.floats(-40, 40))
def test_a_window_of_the_mirror_image_shows_the_same_pixels(scale, dx, roll):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (120, 140, 3), dtype=np.uint8)
    pixels = np.repeat(np.repeat(pixels[::6, ::7], 6, 0), 7, 1)
    angle = np.deg2rad(roll)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([70 + dx, 60.0])
    matrix = np.concatenate([linear, (SIZE / 2 - linear @ centre)[:, None]], 1)
    turned = np.ascontiguousarray(pixels[:, ::-1])
    wanted = _view(turned, Alignment(matrix, SIZE))
    got = _view(pixels, _from_behind(Alignment(matrix, SIZE), 140.0))[:, :, ::-1]
    assert np.abs(wanted - got).mean() < 0.02


def test_mirroring_twice_changes_nothing():
    mesh = canonical_points()
    assert np.allclose(mirrored_mesh(mirrored_mesh(mesh, 256), 256), mesh, atol=1e-4)
