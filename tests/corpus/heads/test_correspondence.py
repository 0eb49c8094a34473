import numpy as np
import pytest

from visagist.corpus.heads.assets import base_mesh
from visagist.corpus.heads.correspondence import correspondence
from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.geometry import HeadSpec, build_head, shaped
from visagist.corpus.heads.loops import lid_rings, lip_rings, lip_triangles, mouth_triangles
from visagist.corpus.heads.sampling import sample_shape
from visagist.corpus.heads.shape import HeadShape
from visagist.corpus.heads.surface import mirror_vertices
from visagist.face.align import similarity
from visagist.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    N_SKIN_POINTS,
    RIGHT_EYE,
    canonical_points,
    mirror_index,
    triangles,
)


@pytest.fixture(scope="module")
def at_rest():
    return correspondence().apply(base_mesh().vertices)


def test_weights_are_barycentric_and_corners_are_the_heads():
    found = correspondence()
    assert found.corners.shape == found.weights.shape == (N_SKIN_POINTS, 3)
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-6)
    assert found.weights.min() >= -1e-6
    base = base_mesh()
    body = np.unique(base.mesh.triangles[base.triangles_of("body")])
    used = found.corners[found.weights > 0]
    assert np.isin(used, body).all()
    assert not np.isin(used, base.mesh.triangles[mouth_triangles(base)]).any()


def test_left_is_the_mirror_image_of_right(at_rest):
    swapped = at_rest[mirror_index()[:N_SKIN_POINTS]] * [-1, 1, 1]
    np.testing.assert_allclose(swapped, at_rest, atol=1e-5)


def test_lip_points_lie_on_the_lips_loops_and_eye_points_on_the_lids():
    base, found = base_mesh(), correspondence()
    lips = lip_rings(base)
    inner = found.corners[list(LIPS_INNER)]
    assert np.isin(inner, lips[2]).all()
    border = np.concatenate(lips[6:8])
    for k in LIPS_OUTER:
        assert np.isin(found.corners[k][found.weights[k] > 1e-6], border).all(), k
    for ring, side in ((LEFT_EYE, 1), (RIGHT_EYE, -1)):
        assert np.isin(found.corners[list(ring)], lid_rings(base, side)[14]).all()


def test_no_triangle_of_the_mesh_is_turned_over_on_the_base_mesh(at_rest):
    # Seen from the front, every triangle keeps the canonical face's sense, apart from the sides
    # of the head and the closed lips, which have no area from there.
    mesh = triangles()
    mesh = mesh[(mesh < N_SKIN_POINTS).all(1)]

    def area(points):
        a, b, c = (points[mesh[:, k]] for k in range(3))
        u, v = b - a, c - a
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    canonical = area(canonical_points()[:, :2] * [1, -1])
    ours = area(at_rest)
    large = np.abs(canonical) > 20  # crop pixels squared
    assert large.sum() > 500
    turned = np.sign(ours[large]) != np.sign(canonical[large])
    assert turned.mean() < 0.01


def test_the_average_head_has_the_canonical_faces_proportions():
    points = build_head(HeadSpec(HeadShape(0), Expression())).points[:, :2] * [1, -1]
    canonical = canonical_points()[:, :2].astype(np.float64)
    matrix = similarity(points, canonical)
    placed = points @ matrix[:, :2].T + matrix[:, 2]
    away = np.linalg.norm(placed - canonical, axis=1)
    eyes = np.linalg.norm(canonical[468] - canonical[473])
    assert away.mean() < 0.08 * eyes
    assert away.max() < 0.25 * eyes


def test_points_stay_on_the_skin_of_any_head():
    found = correspondence()
    for seed in (1, 2):
        body = shaped(HeadSpec(sample_shape(seed), Expression("o", {"jawOpen": 0.4})))
        points = found.apply(body.vertices)
        corners = body.vertices[found.corners]
        assert (points >= corners.min(1) - 1e-5).all()
        assert (points <= corners.max(1) + 1e-5).all()


def test_the_oval_goes_round_the_face(at_rest):
    oval = at_rest[list(FACE_OVAL)][:, :2]
    around = np.unwrap(np.arctan2(oval[:, 1] - 7.1, oval[:, 0]))
    assert abs(around[-1] - around[0]) == pytest.approx(2 * np.pi, abs=0.4)
    steps = np.diff(around)
    assert (np.sign(steps) == np.sign(steps[0])).all()


def test_mirror_vertices_is_an_involution_of_the_head():
    base = base_mesh()
    twin = mirror_vertices(base)
    np.testing.assert_array_equal(twin[twin], np.arange(len(twin)))
    used = np.unique(correspondence().corners)
    np.testing.assert_allclose(
        base.vertices[twin[used]] * [-1, 1, 1], base.vertices[used], atol=1e-4
    )


def test_lips_and_mouth_are_separate_and_symmetric():
    base = base_mesh()
    lips, mouth = lip_triangles(base), mouth_triangles(base)
    assert not (lips & mouth).any()
    for chosen in (lips, mouth):
        x = base.vertices[base.mesh.triangles[chosen]][..., 0]
        assert x.min() == pytest.approx(-x.max(), abs=1e-4)
