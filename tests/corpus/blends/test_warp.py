import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh

pytest.importorskip("cv2")

from visagist.corpus.blends.warp import warp
from visagist.face.topology import FACE_OVAL, N_SKIN_POINTS, triangles
from visagist.face.warp import extended, field, interpolate, surface, triangle_map

SIZE = 192


@pytest.fixture(scope="module")
def mesh():
    """The canonical face in the middle of a crop of zoom 1.5."""
    return drawn_mesh(256) * np.float32(SIZE / 256 / 1.5) + np.float32([SIZE / 6, SIZE / 6, 0])


def test_the_mesh_is_one_sheet_whose_border_is_the_oval():
    edges = {}
    for t in triangles():
        for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0])):
            edges[frozenset((int(a), int(b)))] = edges.get(frozenset((int(a), int(b))), 0) + 1
    border = {e for e, n in edges.items() if n == 1}
    ring = {frozenset(p) for p in zip(FACE_OVAL, (*FACE_OVAL[1:], FACE_OVAL[0]), strict=True)}
    assert border == ring
    assert set(edges.values()) == {1, 2}


def test_a_warp_onto_the_same_mesh_changes_nothing(mesh):
    image = drawn_face(mesh, SIZE)
    assert (warp(image, mesh, mesh) == image).all()


def test_points_come_from_where_they_were(mesh):
    target = mesh + 3 * np.random.default_rng(0).standard_normal(mesh.shape).astype(np.float32)
    target[:N_SKIN_POINTS, :2] = mesh[:N_SKIN_POINTS, :2] * 1.04 - 2
    source, goal = extended(mesh, target, SIZE)
    where = field(source, goal, triangle_map(goal, target[:, 2], SIZE))
    at = goal[:N_SKIN_POINTS]
    cells = np.floor(at).astype(int)
    found = where[cells[:, 1], cells[:, 0]] + (at - cells - 0.5) / 1.04
    # a pixel on an edge may be drawn by the triangle beside its own
    assert np.abs(found - source[:N_SKIN_POINTS]).max() < 0.15


def test_an_affine_warp_is_that_affine_map_inside_the_oval(mesh):
    target = mesh.copy()
    target[:, :2] = mesh[:, :2] @ np.array([[1.05, 0.02], [-0.03, 0.98]]) + (1.5, 2.5)
    source, goal = extended(mesh, target, SIZE)
    shown = triangle_map(goal, target[:, 2], SIZE)
    where = field(source, goal, shown)
    rows, columns = np.nonzero((shown >= 0) & (shown < len(triangles())))
    assert len(rows) > 3000
    place = np.stack([columns, rows], 1) + 0.5
    back = (place - (1.5, 2.5)) @ np.linalg.inv(np.array([[1.05, 0.02], [-0.03, 0.98]]))
    assert np.abs(where[rows, columns] - back).max() < 1e-2


def test_the_border_stays(mesh):
    target = mesh.copy()
    target[:, :2] += (6, -4)
    noise = np.random.default_rng(1).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    moved = warp(noise, mesh, target)
    middle = slice(SIZE // 3, -SIZE // 3)
    assert np.abs(moved[0].astype(int) - noise[0]).mean() < 12
    assert np.abs(moved[:, -1].astype(int) - noise[:, -1]).mean() < 12
    assert np.abs(moved[middle, middle].astype(int) - noise[middle, middle]).mean() > 40


def test_the_nearer_triangle_shows_where_the_face_folds(mesh):
    faces = surface()
    points, _ = extended(mesh, mesh, SIZE)
    tip, far = 1, 10
    folded = points.copy()
    folded[tip] = folded[far]  # the nose over the forehead
    depth = np.zeros(N_SKIN_POINTS)
    depth[tip] = -50
    shown = triangle_map(folded, depth, SIZE)
    x, y = (np.floor(folded[far] + (0, 16))).astype(int)
    assert tip in faces[shown[y, x]]


def test_values_are_spread_linearly(mesh):
    points, _ = extended(mesh, mesh, SIZE)
    shown = triangle_map(points, mesh[:, 2], SIZE)
    plane = (points @ np.array([0.3, -0.2]) + 7)[:, None]
    dense = interpolate(plane, points, shown)[..., 0]
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    inside = shown >= 0
    assert np.abs(dense - (0.3 * x - 0.2 * y + 7))[inside].max() < 1e-2
    part = (slice(40, 90), slice(30, 100))
    cut = interpolate(plane, points, shown[part], corner=(30, 40))[..., 0]
    assert np.abs(cut - dense[part]).max() < 1e-3
