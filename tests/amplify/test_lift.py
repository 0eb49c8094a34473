import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_mesh
from visagist.amplify.lift import ATLAS_SIZE, atlas_points, sample, warp
from visagist.face.raster import fill
from visagist.face.topology import FACE_OVAL


def inside(mesh, size=256, margin=6.0):
    """Pixels well inside the oval."""
    oval = mesh[list(FACE_OVAL), :2]
    centre = oval.mean(0)
    return fill(centre + (oval - centre) * (1 - margin / 60), size, size) > 0.99


def places_of_pixels(size):
    line = np.arange(size) + 0.5
    return np.stack(np.meshgrid(line, line), 2)


def test_a_face_warped_onto_itself_stays_where_it_is():
    mesh = drawn_mesh(256)
    places, seen = warp(mesh, mesh, 256)
    here = inside(mesh)
    assert np.abs(places - places_of_pixels(256))[here].max() < 0.75
    assert seen[here].min() > 0.1
    assert seen[:10].max() == 0


@given(st.floats(-8, 8), st.floats(-8, 8), st.floats(0.85, 1.15))
def test_a_moved_and_scaled_mesh_is_found_where_it_went(dx, dy, scale):
    mesh = drawn_mesh(256)
    moved = mesh * np.float32([scale, scale, scale])
    moved[:, :2] += np.float32([dx, dy])
    places, _ = warp(mesh, moved, 256)
    here = inside(mesh, margin=10)
    wanted = places_of_pixels(256) * scale + [dx, dy]
    assert np.abs(places - wanted)[here].max() < 0.75


def test_there_and_back_gives_a_smooth_picture_back():
    mesh = drawn_mesh(256, turn=10)
    grid = places_of_pixels(256).astype(np.float32)
    picture = np.stack([grid[..., 0], grid[..., 1], 0.5 * grid.sum(2)], 2)
    atlas = sample(picture, warp(atlas_points(), mesh, ATLAS_SIZE)[0])
    back = sample(atlas, warp(mesh, atlas_points(), 256)[0])
    here = inside(mesh, margin=12)
    assert np.abs(back - picture)[here].mean() < 0.5


def test_what_faces_away_is_not_seen():
    mesh = drawn_mesh(256, turn=60)
    _, seen = warp(atlas_points(), mesh, ATLAS_SIZE)
    left, right = seen[:, : ATLAS_SIZE // 2], seen[:, ATLAS_SIZE // 2 :]
    hidden = min((left > 0).sum(), (right > 0).sum())
    shown = max((left > 0).sum(), (right > 0).sum())
    assert hidden < 0.75 * shown


def test_a_mesh_turned_inside_out_shows_nothing():
    mesh = drawn_mesh(256)
    mirrored = mesh * np.float32([-1, 1, 1]) + np.float32([256, 0, 0])
    _, seen = warp(mirrored, mesh, 256)
    assert seen.max() == 0


def test_lookups_between_pixels_are_bilinear():
    picture = np.float32([[0, 1], [2, 3]])
    looked = sample(picture, np.float32([[[1.0, 1.0], [0.5, 0.5]], [[1.5, 0.5], [9, 9]]]))
    assert np.allclose(looked, [[1.5, 0], [1, 0]])
