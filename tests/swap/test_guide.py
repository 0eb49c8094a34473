import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.errors import InputError
from visagist.face.raster import fill
from visagist.face.topology import FACE_OVAL, LEFT_EYE, LEFT_IRIS, LIPS_INNER, mirror_index
from visagist.swap.guide import Guide, gaze_shift, guide, mirrored_mesh

SIZE = 128


@pytest.fixture(scope="module")
def mesh():
    return drawn_mesh(SIZE)


@pytest.fixture(scope="module")
def face(mesh):
    return drawn_face(mesh, SIZE, "light")


def other(mesh, skin="deep"):
    return drawn_face(mesh, SIZE, skin)


def test_the_same_picture_stays_what_it_is(face, mesh):
    made = guide(face, mesh, face, mesh)
    assert np.abs(made.picture.astype(int) - face).max() <= 1
    assert made.share[70, 64] == pytest.approx(1, abs=1e-3)
    assert made.share[:8].max() == 0


def test_the_share_lies_inside_the_oval(face, mesh):
    made = guide(face, mesh, face, mesh)
    oval = fill(mesh[list(FACE_OVAL), :2], SIZE, SIZE)
    assert made.share[oval == 0].max() < 0.15
    assert made.share[oval > 0].mean() > 0.75


def test_a_moved_face_is_read_where_it_is(mesh):
    """The source's face lies elsewhere and is larger: it arrives where the target's is."""
    far = mesh * np.float32(1.15) + np.float32([-8, -12, 0])
    source, target = drawn_face(far, SIZE, "medium"), drawn_face(mesh, SIZE, "medium")
    made = guide(source, far, target, mesh)
    sure = made.share > 0.99
    assert np.abs(made.picture[sure].astype(int) - target[sure]).mean() < 2.5


def test_the_colour_follows_the_target(face, mesh):
    dark = other(mesh)
    made = guide(face, mesh, dark, mesh)
    sure = made.share > 0.99
    before = float(face[sure].mean()) - float(dark[sure].mean())
    assert before > 60
    assert abs(float(made.picture[sure].mean()) - float(dark[sure].mean())) < 0.2 * before


def test_the_coarse_light_follows_the_target(face, mesh):
    across = np.linspace(0.5, 1.0, SIZE)[None, :, None]
    lit = np.rint(face * across).astype(np.uint8)
    made = guide(face, mesh, lit, mesh)
    sure = made.share > 0.99
    left, right = sure.copy(), sure.copy()
    left[:, 64:], right[:, :64] = False, False

    def slope(picture):
        return float(picture[right].mean()) - float(picture[left].mean())

    assert slope(made.picture) > 0.5 * slope(lit) > 5 * abs(slope(face))


def test_a_target_without_colour_gets_a_face_without(face, mesh):
    grey = np.repeat(other(mesh).mean(2, keepdims=True).astype(np.uint8), 3, 2)
    assert np.ptp(guide(face, mesh, grey, mesh).picture.astype(int), axis=2).max() == 0


@given(strength=st.floats(0, 1), shape=st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_strength_scales_the_share(strength, shape):
    mesh = drawn_mesh(64)
    wide = mesh * np.float32([1.1, 1, 1]) - np.float32([3, 0, 0])
    source, target = drawn_face(wide, 64, "light"), drawn_face(mesh, 64, "deep")
    made = guide(source, wide, target, mesh, shape=shape, strength=strength)
    assert made.share.max() <= strength + 1e-6
    assert made.picture.dtype == np.uint8
    if strength == 0:
        np.testing.assert_array_equal(made.picture, target)


def test_an_open_mouth_stays_the_targets(mesh):
    gaping = drawn_mesh(SIZE, gape=14)
    shut, wide = drawn_face(mesh, SIZE, "light"), drawn_face(gaping, SIZE, "deep")
    made = guide(shut, mesh, wide, gaping, shape=0)
    middle = gaping[list(LIPS_INNER), :2].mean(0).astype(int)
    assert made.share[middle[1], middle[0]] < 0.2
    np.testing.assert_allclose(
        made.picture[middle[1], middle[0]].astype(int), wide[middle[1], middle[0]], atol=20
    )


def test_hair_over_the_source_stays_behind(face, mesh):
    source, free = face.copy(), np.ones((SIZE, SIZE), np.float32)
    source[:54], free[:54] = (20, 90, 200), 0
    kept = guide(source, mesh, face, mesh, source_free=free)
    assert kept.share[:50].max() == 0
    np.testing.assert_array_equal(kept.picture[:50], face[:50])
    assert kept.share[80, 64] > 0.99
    brought = guide(source, mesh, face, mesh)
    assert np.abs(brought.picture[44:50, 60:68].astype(int) - face[44:50, 60:68]).mean() > 20


def test_what_covers_the_target_is_no_light(face, mesh):
    target, free = face.copy(), np.ones((SIZE, SIZE), np.float32)
    target[:, :60], free[:, :60] = 0, 0
    plain, told = (guide(face, mesh, target, mesh, target_free=f) for f in (None, free))
    beside = np.s_[70:90, 62:68]
    gap = [np.abs(made.picture[beside].astype(int) - face[beside]).mean() for made in (plain, told)]
    assert gap[1] < 0.5 * gap[0]


def test_a_gaping_source_leaves_the_targets_closed_mouth(mesh):
    gaping = drawn_mesh(SIZE, gape=26)
    source, target = drawn_face(gaping, SIZE, "light"), drawn_face(mesh, SIZE, "light")
    made = guide(source, gaping, target, mesh, shape=0)
    column, row = mesh[0, :2].astype(int)  # the upper lip
    assert made.share[row, column] < 0.3
    assert made.share[70, 64] > 0.99
    assert guide(target, mesh, target, mesh).share[row, column] > 0.99


def test_irises_look_where_the_targets_do(mesh):
    away = mesh.copy()
    away[[473, *LEFT_IRIS], 0] += 2  # the source looks aside
    rows, columns = (mesh[[473], 1].astype(int), mesh[[473], 0].astype(int))
    shift = gaze_shift(away, mesh, rows, columns)
    assert shift[0, 0] == pytest.approx(2, abs=0.5)
    assert abs(shift[0, 1]) < 0.2
    outside = np.array([5])
    assert np.abs(gaze_shift(away, mesh, outside, outside)).max() == 0
    width = np.ptp(mesh[list(LEFT_EYE), 0])
    away[[473, *LEFT_IRIS], 0] += 100  # a broken mesh
    assert np.abs(gaze_shift(away, mesh, rows, columns)).max() <= 0.3 * width + 1e-3


def test_a_mirrored_mesh_lies_on_the_mirrored_picture(mesh):
    turned = drawn_mesh(SIZE, turn=15)
    picture = drawn_face(turned, SIZE)
    flipped = mirrored_mesh(turned, SIZE, mirror_index())
    again = drawn_face(flipped, SIZE)
    assert np.abs(again[:, ::-1].astype(int) - picture).mean() < 1
    np.testing.assert_allclose(mirrored_mesh(flipped, SIZE, mirror_index()), turned, atol=1e-4)


@pytest.mark.parametrize(
    ("picture", "points"),
    [
        (np.zeros((64, 48, 3), np.uint8), None),
        (np.zeros((64, 64, 3), np.float32), None),
        (np.zeros((64, 64), np.uint8), None),
        (None, np.full((478, 3), np.nan)),
        (None, np.zeros((468, 3))),
    ],
)
def test_what_is_no_crop_or_mesh_is_refused(face, mesh, picture, points):
    with pytest.raises(InputError, match="a swap needs"):
        guide(face if picture is None else picture, mesh if points is None else points, face, mesh)


def test_a_guide_is_what_it_says(face, mesh):
    assert isinstance(guide(face, mesh, face, mesh), Guide)


def test_background_beside_a_cheek_is_not_taken_for_skin(face, mesh):
    """The source's mesh is a little too wide and catches what is behind the head."""
    wide = mesh.copy()
    wide[:, 0] = 64 + (wide[:, 0] - 64) * np.float32(1.12)
    source = face.copy()
    outside = fill(mesh[list(FACE_OVAL), :2], SIZE, SIZE) < 0.5
    source[outside] = (0, 220, 40)
    made = guide(source, wide, face, mesh, shape=0)
    green = made.picture[..., 1].astype(int) - made.picture[..., 0]
    inside = fill(mesh[list(FACE_OVAL), :2], SIZE, SIZE) > 0.99
    assert (green[inside] > 20).mean() < 0.02
    assert made.share[70, 64] > 0.95  # the middle of the face is the source's all the same


def test_a_cheek_seen_edge_on_is_left_to_the_target(face, mesh):
    turned = drawn_mesh(SIZE, turn=55)
    source = drawn_face(turned, SIZE, "light")
    made = guide(source, turned, face, mesh, shape=0)
    straight = guide(face, mesh, face, mesh, shape=0)
    lost = [made.share[:, half].sum() / straight.share[:, half].sum()
            for half in (slice(0, 64), slice(64, 128))]  # fmt: skip
    assert min(lost) < 0.8 * max(lost)
