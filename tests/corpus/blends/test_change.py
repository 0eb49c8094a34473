import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh

pytest.importorskip("cv2")

from visagist.corpus.blends.change import Change, changed, draw_change
from visagist.corpus.blends.expression import UNITS, expressed, mouth_open, units
from visagist.corpus.blends.light import Light, normal_map, point_normals, shading_ratio
from visagist.corpus.blends.pose import turned
from visagist.errors import InputError
from visagist.face.pose import pose
from visagist.face.topology import (
    LEFT_BROW,
    LIPS_OUTER,
    N_SKIN_POINTS,
    RIGHT_BROW,
    mirror_index,
)

SIZE = 192


def place(mesh):
    return mesh * np.float32(SIZE / 256 / 1.5) + np.float32([SIZE / 6, SIZE / 6, 0])


@pytest.fixture(scope="module")
def face():
    mesh = place(drawn_mesh(256))
    return drawn_face(mesh, SIZE), mesh


def test_every_unit_is_nearly_symmetric_and_leaves_the_irises():
    pairs = mirror_index()
    assert set(units()) == set(UNITS)
    for name, move in units().items():
        other = move[pairs] * (-1, 1, 1)
        assert np.abs(move - other).max() < 0.12 * np.abs(move).max() + 0.2, name
        assert (move[N_SKIN_POINTS:] == 0).all()


def test_an_expression_moves_what_it_should(face):
    _, mesh = face
    up = expressed(mesh, {"browInnerUp": 1.0, "browOuterUp": 1.0}) - mesh
    brows = [i for line in (*LEFT_BROW, *RIGHT_BROW) for i in line]
    assert up[brows, 1].max() < -1
    assert np.abs(up[list(LIPS_OUTER)]).max() < 0.3
    smile = expressed(mesh, {"mouthSmile": 1.0}) - mesh
    assert smile[61, 0] < -1 and smile[291, 0] > 1
    assert max(smile[61, 1], smile[291, 1]) < -1
    assert np.abs(smile[[105, 334, 10]]).max() < 0.5


def test_no_expression_changes_nothing(face):
    image, mesh = face
    assert np.abs(expressed(mesh, {}) - mesh).max() < 1e-4
    same, points = changed(image, mesh, Change())
    assert (same == image).all()
    assert np.abs(points - mesh).max() < 1e-3


def test_a_closed_mouth_stays_closed():
    shut = place(drawn_mesh(256))
    line = (shut[13] + shut[14]) / 2
    shut[[13, 14]] = line
    before = mouth_open(shut)
    after = mouth_open(expressed(shut, {"mouthSmile": 0.8, "jawOpen": 0.5}))
    assert before == 0
    assert after < 0.01
    wide = place(drawn_mesh(256, gape=12))
    assert mouth_open(expressed(wide, {"jawOpen": 0.2})) > mouth_open(wide) + 0.02


def test_an_unknown_unit_is_named(face):
    with pytest.raises(InputError, match="earWiggle"):
        expressed(face[1], {"earWiggle": 1.0})


@pytest.mark.parametrize("axis", ["yaw", "pitch", "roll"])
def test_a_turn_is_the_turn_that_pose_reads(face, axis):
    _, mesh = face
    angles = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0} | {axis: 7.0}
    before, after = pose(mesh), pose(turned(mesh, **angles))
    for name, angle in angles.items():
        assert getattr(after, name) - getattr(before, name) == pytest.approx(angle, abs=0.3)


def test_normals_face_the_viewer_and_sideways_at_the_sides(face):
    _, mesh = face
    normals = point_normals(mesh)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)
    assert normals[1, 2] > 0.8  # tip of the nose
    assert normals[234, 0] < -0.4 and normals[454, 0] > 0.4
    assert normals[152, 1] > 0.2  # under the chin
    dense = normal_map(mesh, SIZE)
    assert dense[0, 0] == pytest.approx((0, 0, 1), abs=1e-3)


def test_light_from_one_side_brightens_that_side_only(face):
    image, mesh = face
    lit, points = changed(image, mesh, Change(light=Light(towards=(0.5, 0.0, 0.0))))
    assert np.abs(points - mesh).max() < 1e-3
    gain = lit.astype(float).mean(2) - image.astype(float).mean(2)
    right, left = mesh[280, :2].astype(int), mesh[50, :2].astype(int)
    assert gain[right[1] - 4 : right[1] + 4, right[0] : right[0] + 8].mean() > 4
    assert gain[left[1] - 4 : left[1] + 4, left[0] - 8 : left[0]].mean() < -4
    assert np.abs(gain[:4]).max() < 1


def test_light_cannot_put_out_or_burn(face):
    ratio = shading_ratio(normal_map(face[1], SIZE), Light(towards=(3.0, 3.0, 0.0), rim=-0.5))
    assert ratio.min() >= 0.4 and ratio.max() <= 1.8


def test_exposure_and_white_balance(face):
    image, mesh = face
    brighter, _ = changed(image, mesh, Change(light=Light(stops=0.5)))
    assert brighter.mean() > image.mean() + 5
    assert (brighter.astype(int) >= image).all()
    warm, _ = changed(image, mesh, Change(light=Light(warmth=0.3)))
    assert warm[..., 0].mean() > image[..., 0].mean()
    assert warm[..., 2].mean() < image[..., 2].mean()


def test_drawn_changes_suit_the_mouth_and_grey_stays_grey():
    shut, wide = place(drawn_mesh(256)), place(drawn_mesh(256, gape=14))
    shut[14] = shut[13]
    for seed in range(30):
        random = np.random.default_rng(seed)
        closed = draw_change(random, shut, max_turn=9, max_light=0.4, grey=True)
        assert not {"jawOpen", "mouthUpperUp"} & set(closed.expression)
        assert closed.light.warmth == closed.light.tint == 0
        assert max(abs(closed.yaw), abs(closed.pitch)) <= 9
        assert np.hypot(*closed.light.towards[:2]) <= 0.4 + 1e-3
        opened = draw_change(random, wide, max_turn=9, max_light=0.4)
        assert not {"mouthFrown", "mouthPress"} & set(opened.expression)
