import numpy as np
import pytest

from tests.corpus.heads.made_assets import make_assets
from visagist.corpus.heads.assets import HeadAssets, base_mesh
from visagist.corpus.heads.expression import Expression, sample_expression
from visagist.corpus.heads.geometry import HeadSpec, build_head, gaze_matrix, shaped
from visagist.corpus.heads.sampling import sample_person, sample_shape
from visagist.corpus.heads.shape import HeadShape
from visagist.errors import DataError
from visagist.face.parts import Part

CLOSED = ((160, 144), (159, 145), (158, 153))
NEUTRAL = HeadSpec(HeadShape(0), Expression())


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return HeadAssets(make_assets(tmp_path_factory.mktemp("assets")))


def expression(**units):
    return HeadSpec(sample_shape(4), Expression("test", units))


def gaps(points, pairs):
    return np.array([points[a, 1] - points[b, 1] for a, b in pairs])


def test_a_head_without_assets_is_skin_with_lips_and_mouth():
    head = build_head(NEUTRAL)
    (skin,) = head.surfaces
    assert skin.name == "skin"
    assert skin.texture is None
    assert set(np.unique(skin.parts)) == {Part.SKIN, Part.LIPS, Part.MOUTH}
    assert skin.vertices.dtype == np.float32
    assert skin.triangles.max() == len(skin.vertices) - 1
    np.testing.assert_allclose(np.linalg.norm(skin.normals, axis=1), 1, atol=1e-4)
    assert skin.uv.min() >= 0
    assert skin.uv.max() <= 1
    lips = skin.vertices[np.unique(skin.triangles[skin.parts == Part.LIPS])]
    box = head.points[[61, 291, 0, 17]]
    assert lips[:, 0].min() == pytest.approx(box[0, 0], abs=0.03)
    assert lips[:, 1].max() == pytest.approx(box[2, 1], abs=0.03)
    assert lips[:, 1].min() == pytest.approx(box[3, 1], abs=0.03)


def test_normals_point_out_of_the_head():
    skin = build_head(NEUTRAL).surfaces[0]
    face = (skin.vertices[:, 1] > -1.2) & (skin.vertices[:, 2] > 0.2)
    outside = np.zeros(len(skin.vertices), bool)
    outside[skin.triangles[skin.parts == Part.SKIN]] = True
    chosen = face & outside
    assert (skin.normals[chosen, 2] > 0).mean() > 0.8


def test_the_origin_lies_between_the_eyes_and_the_person_looks_along_z():
    head = build_head(HeadSpec(sample_shape(11), Expression()))
    np.testing.assert_allclose(head.eye_centres.sum(0), 0, atol=1e-6)
    right, left = head.eye_centres
    assert right[0] < -0.2 < 0.2 < left[0]
    assert 0.12 < head.eye_radius < 0.18
    assert head.points[1, 2] > 0.3  # the tip of the nose in front of the eyes
    assert head.points[33, 0] < 0 < head.points[263, 0]


def test_everything_that_is_asked_for_is_there_in_the_order_to_draw(assets):
    spec = sample_person(5, assets)
    spec = HeadSpec(
        spec.shape, spec.expression, skin=spec.skin, iris="brown_eye", hair="short01",
        brows="eyebrow001", lashes="eyelashes01",
    )  # fmt: skip
    head = build_head(spec, assets)
    assert [one.name for one in head.surfaces] == [
        "skin", "eyes", "teeth", "tongue", "hair", "brows", "lashes",
    ]  # fmt: skip
    assert [one.alpha for one in head.surfaces] == ["opaque"] * 4 + ["cutout"] + ["blend"] * 2
    for surface in head.surfaces:
        assert surface.texture is not None
        assert surface.texture.is_file()
        assert np.isfinite(surface.vertices).all()
        assert len(surface.parts) == len(surface.triangles)
    assert head.surface("hair").parts[0] == Part.HAIR
    assert head.surface("nothing") is None
    bare = build_head(HeadSpec(spec.shape, spec.expression, teeth="", tongue=""), assets)
    assert [one.name for one in bare.surfaces] == ["skin", "eyes"]


def test_an_unknown_asset_is_a_data_error(assets):
    with pytest.raises(DataError, match="mohawk"):
        build_head(HeadSpec(HeadShape(0), Expression(), hair="mohawk"), assets)


def test_the_same_spec_gives_the_same_head(assets):
    spec = sample_person(9, assets)
    one, two = build_head(spec, assets), build_head(spec, assets)
    np.testing.assert_array_equal(one.points, two.points)
    for a, b in zip(one.surfaces, two.surfaces, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)


@pytest.mark.parametrize("seed", range(6))
def test_a_full_blink_closes_every_eye_whatever_else_the_lids_do(seed):
    units = {"eyeBlinkRight": 1.0, "eyeSquintRight": 0.5 * (seed % 2), "browDownRight": 0.3}
    spec = HeadSpec(sample_shape(seed), Expression("blink", units, (4.0, -5.0)))
    points = build_head(spec).points
    width = np.linalg.norm(points[33] - points[133])
    assert np.abs(gaps(points, CLOSED)).max() < 0.08 * width
    assert gaps(points, ((387, 373), (386, 374), (385, 380))).min() > 0.1 * width  # still open


def test_half_a_blink_halves_the_opening():
    spec = expression()
    full = gaps(build_head(spec).points, CLOSED).mean()
    half = gaps(build_head(expression(eyeBlinkRight=0.5)).points, CLOSED).mean()
    assert half / full == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_resting_lips_touch_and_an_open_jaw_parts_them(seed):
    shape = sample_shape(seed)
    rest = build_head(HeadSpec(shape, Expression())).points
    assert abs(gaps(rest, ((13, 14), (312, 317), (82, 87))).mean()) < 0.005
    wide = build_head(HeadSpec(shape, Expression("open", {"jawOpen": 0.5}))).points
    assert gaps(wide, ((13, 14),)) > 0.08


def test_upper_teeth_stay_with_the_skull_and_lower_ones_go_with_the_jaw():
    closed, opened = (shaped(expression(jawOpen=w)).vertices for w in (0.0, 0.5))
    base = base_mesh()

    def moved(group):
        return (opened - closed)[np.unique(base.mesh.triangles[base.triangles_of(group)])]

    np.testing.assert_allclose(moved("helper-upper-teeth"), 0, atol=1e-5)
    assert (moved("helper-lower-teeth")[:, 1] < -0.02).all()
    assert moved("helper-tongue")[:, 1].mean() < -0.02


def test_gaze_turns_eyes_about_their_centres_and_irises_with_them(assets):
    ahead, aside = (
        build_head(HeadSpec(HeadShape(0), Expression("g", {}, gaze)), assets)
        for gaze in ((0.0, 0.0), (15.0, 5.0))
    )
    np.testing.assert_allclose(ahead.eye_centres, aside.eye_centres)
    for eye, first in ((0, 468), (1, 473)):
        before = ahead.points[first : first + 5] - ahead.eye_centres[eye]
        after = aside.points[first : first + 5] - aside.eye_centres[eye]
        np.testing.assert_allclose(after, before @ gaze_matrix((15.0, 5.0)).T, atol=1e-5)
        assert after[0, 0] > 0.02  # to the person's left
        assert after[0, 1] > 0.005
        radius = np.linalg.norm(after[1:] - after[0], axis=1)
        np.testing.assert_allclose(radius, 0.387 * aside.eye_radius, rtol=1e-4)
    eyes = aside.surface("eyes").vertices
    own = aside.eye_centres[(eyes[:, 0] > 0).astype(int)]
    assert np.linalg.norm(eyes - own, axis=1).max() < 1.05 * aside.eye_radius


def test_gaze_matrices_are_rotations():
    for gaze in ((0, 0), (20, 0), (0, -12), (-13, 7)):
        turn = gaze_matrix(gaze)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(gaze_matrix((90, 0)) @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(gaze_matrix((0, 90)) @ [0, 0, 1], [0, 1, 0], atol=1e-6)


def test_random_faces_stay_finite_and_of_human_size():
    for seed in range(15):
        spec = HeadSpec(sample_shape(seed), sample_expression(np.random.default_rng(seed)))
        points = build_head(spec).points
        assert np.isfinite(points).all()
        assert 1.2 < points[10, 1] - points[152, 1] < 2.1
        assert 1.1 < points[454, 0] - points[234, 0] < 1.8
