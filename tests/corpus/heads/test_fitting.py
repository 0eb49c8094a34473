import numpy as np
import pytest

from visagist.corpus.heads.assets import base_mesh
from visagist.corpus.heads.correspondence import correspondence
from visagist.corpus.heads.fitting import fit
from visagist.corpus.heads.sighting import Sighting, foremost
from visagist.corpus.heads.surface import closest_weights
from visagist.face.topology import N_SKIN_POINTS


def test_the_nearest_point_of_a_triangle_is_inside_on_an_edge_or_a_corner():
    triangle = np.array([[[0, 0, 0], [4, 0, 0], [0, 4, 0]]], float)
    cases = {
        (1, 1, 5): (1, 1, 0),
        (1, -3, 2): (1, 0, 0),
        (-1, -1, 0): (0, 0, 0),
        (5, 5, 1): (2, 2, 0),
        (9, -1, 0): (4, 0, 0),
    }
    for point, expected in cases.items():
        weights = closest_weights(np.array(point, float), triangle)
        np.testing.assert_allclose(weights.sum(), 1)
        np.testing.assert_allclose(weights[0] @ triangle[0], expected, atol=1e-9)


def test_the_nearest_point_beats_every_sampled_one():
    random = np.random.default_rng(0)
    triangles = random.normal(size=(30, 3, 3))
    share = random.dirichlet((1, 1, 1), 300)
    for point in random.normal(size=(5, 3)):
        weights = closest_weights(point, triangles)
        found = np.einsum("tk,tkx->tx", weights, triangles)
        ours = np.linalg.norm(found - point, axis=1)
        sampled = np.linalg.norm(share @ triangles - point, axis=2).min(1)
        assert (ours <= sampled + 1e-9).all()


def test_the_foremost_of_two_triangles_is_found():
    screen = np.array([[0, 0, 5], [9, 0, 5], [0, 9, 5], [0, 0, 1], [9, 0, 1], [0, 9, 9]], float)
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    points = np.array([[1, 1], [1, 7], [8, 8]], float)
    found, weights = foremost(screen, triangles, points)
    assert found.tolist() == [1, 0, -1]
    np.testing.assert_allclose(weights[0] @ screen[triangles[1], :2], points[0])


def test_a_fit_to_perfect_sightings_gives_the_points_back():
    base, known = base_mesh(), correspondence()
    rest = known.apply(base.vertices).astype(np.float64)
    sightings = []
    for yaw in (-0.7, -0.4, 0.0, 0.0, 0.4, 0.7):
        view = np.array([-np.sin(yaw), 0.0, np.cos(yaw)])
        facing = np.full(N_SKIN_POINTS, 0.8)
        sightings += [Sighting(rest, facing, view, np.zeros(N_SKIN_POINTS))] * 2
    found = fit(base, sightings)
    again = found.apply(base.vertices)
    assert np.linalg.norm(again - rest, axis=1).max() < 0.002


def test_mirrored_sightings_swap_sides():
    base = base_mesh()
    rest = correspondence().apply(base.vertices).astype(np.float64)
    facing = np.linspace(0, 1, N_SKIN_POINTS)
    one = Sighting(rest, facing, np.array([0.6, 0.0, 0.8]), np.zeros(N_SKIN_POINTS))
    two = one.mirrored()
    np.testing.assert_allclose(two.rest, rest, atol=1e-4)  # the bundled points are symmetric
    assert two.view[0] == pytest.approx(-0.6)
    assert two.facing[33] == facing[263]
    np.testing.assert_allclose(two.mirrored().rest, one.rest)
