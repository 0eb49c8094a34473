from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import FaceError
from visagist.face.align import Alignment, align, crop, similarity, transform_points
from visagist.face.topology import N_POINTS, canonical_points, mirror_index

SIMILARITIES = st.tuples(
    st.floats(0.05, 20),  # scale
    st.floats(-180, 180),  # degrees
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
)


def matrix_of(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    a, b = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[a, -b, x], [b, a, y]])


def noisy_mesh(seed: int = 0) -> np.ndarray:
    return canonical_points() + np.random.default_rng(seed).normal(0, 3, (N_POINTS, 3))


def gradient(height: int, width: int, *, x: float, y: float, base: float = 20.0) -> np.ndarray:
    """A picture whose value at point (px, py) is base + x px + y py, pixel centres at .5."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    plane = base + x * columns + y * rows
    assert plane.max() <= 255
    return np.repeat(np.rint(plane)[..., None], 3, 2).astype(np.uint8)


def test_canonical_mirror_is_an_involution_and_mirrors():
    mirror, points = mirror_index(), canonical_points()
    assert np.array_equal(mirror[mirror], np.arange(N_POINTS))
    assert np.allclose(256 - points[mirror, 0], points[:, 0], atol=0.1)
    assert not points.flags.writeable


@given(SIMILARITIES)
def test_similarity_is_the_least_squares_solution(parameters):
    rng = np.random.default_rng(1)
    source = rng.uniform(0, 200, (40, 2))
    clean = source @ matrix_of(*parameters)[:, :2].T + matrix_of(*parameters)[:, 2]
    target = clean + rng.normal(0, parameters[0], (40, 2))
    # Unknowns (a, b, tx, ty) of [[a, -b], [b, a]] as one ordinary system.
    one, zero = np.ones(40), np.zeros(40)
    system = np.concatenate(
        [
            np.stack([source[:, 0], -source[:, 1], one, zero], 1),
            np.stack([source[:, 1], source[:, 0], zero, one], 1),
        ]
    )
    (a, b, x, y), *_ = np.linalg.lstsq(system, target.T.ravel(), rcond=None)
    expected = np.array([[a, -b, x], [b, a, y]])
    assert np.allclose(similarity(source, target), expected, rtol=1e-7, atol=1e-6)


@given(SIMILARITIES)
def test_there_and_back(parameters):
    mesh = transform_points(matrix_of(*parameters), noisy_mesh())
    found = align(mesh)
    back = found.to_photo(found.to_crop(mesh))
    assert np.allclose(back, mesh, atol=2e-3 * max(1, parameters[0]) + 2e-3)
    assert found.scale == pytest.approx(1 / parameters[0], rel=0.05)


@given(SIMILARITIES)
def test_alignment_moves_with_the_face(parameters):
    """The same face moved, turned and scaled has the same crop coordinates, depth included."""
    mesh = noisy_mesh()
    moved = transform_points(matrix_of(*parameters), mesh)
    assert np.allclose(align(moved).to_crop(moved), align(mesh).to_crop(mesh), atol=0.15)


def test_the_canonical_face_needs_no_alignment():
    found = align(canonical_points())
    assert np.allclose(found.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    half = found.resized(128)
    assert half.size == 128
    assert np.allclose(half.to_crop(canonical_points()), canonical_points() / 2, atol=1e-4)


@pytest.mark.parametrize(
    "mesh",
    [
        np.zeros((N_POINTS, 3)),
        np.full((N_POINTS, 2), 7.0),
        np.full((N_POINTS, 3), np.nan),
        np.where(np.arange(N_POINTS)[:, None] == 3, np.inf, canonical_points()),
    ],
    ids=["zero", "one point", "nan", "inf"],
)
def test_a_mesh_without_extent_is_refused(mesh):
    with pytest.raises(FaceError, match="cannot be aligned"):
        align(mesh)


@pytest.mark.parametrize("degrees", [0.0, 17.0, -90.0])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.2])
def test_crop_of_a_gradient_is_the_gradient(scale, degrees):
    """scale is photo pixels per crop pixel; the value at each crop pixel is known exactly."""
    x, y = 0.11, 0.07
    picture = gradient(800, 900, x=x, y=y)
    inverse = matrix_of(scale, degrees, 0, 0)
    inverse[:, 2] = np.array([450, 400]) - inverse[:, :2] @ np.full(2, 128.0)
    linear = np.linalg.inv(inverse[:, :2])
    alignment = Alignment(np.concatenate([linear, -linear @ inverse[:, 2:]], 1))
    rows, columns = np.mgrid[:256, :256] + 0.5
    points = np.stack([columns, rows], -1) @ inverse[:, :2].T + inverse[:, 2]
    expected = 20 + x * points[..., 0] + y * points[..., 1]
    error = crop(picture, alignment)[..., 1] - expected
    assert np.abs(error).max() <= 1.6  # rounding of the picture, and of the result (downwards)
    # A shift changes its sign in the negative, rounding does not: no shift of a tenth of a pixel.
    negative = crop(255 - picture, alignment)[..., 1] - (255 - expected)
    assert abs((error - negative).mean() / 2) < 0.1 * scale * x


def test_the_identity_crop_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    same = Alignment(np.array([[1.0, 0, 0], [0, 1, 0]]))
    assert np.array_equal(crop(picture, same), picture)


def test_a_large_reduction_averages():
    """Noise shrunk 16 times keeps its mean and loses its deviation; a subsample would keep it."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    view = crop(noise, Alignment(np.array([[1 / 16, 0, 0], [0, 1 / 16, 0]]), 64)).astype(float)
    assert view.mean() == pytest.approx(noise.mean(), abs=1)
    assert view.std() < noise.std() / 10


def test_outside_the_photo_the_edge_repeats():
    picture = np.zeros((60, 50, 3), np.uint8)
    picture[:, 0], picture[:, -1] = 40, 200
    view = crop(picture, Alignment(np.array([[1.0, 0, 100], [0, 1, 100]])))
    assert (view[100:160, :100] == 40).all()
    assert (view[100:160, 151:] == 200).all()
    assert (view[:100, 101:149] == view[100, 101:149]).all()


def test_a_face_that_is_not_in_the_photo():
    with pytest.raises(FaceError, match="outside"):
        crop(np.zeros((50, 50, 3), np.uint8), Alignment(np.array([[1.0, 0, 900], [0, 1, 0]])))
