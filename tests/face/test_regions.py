import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist.errors import FaceError, InputError
from visagist.face.raster import blur, catmull_rom, fill, grow, shrink
from visagist.face.regions import face_scale, region_masks
from visagist.face.topology import canonical_points, mirror_index

MESH = canonical_points()
NAMES = ("skin", "lips", "mouth", "eyes", "brows", "lids")


@pytest.mark.parametrize("size", [64, 256, 500])
def test_masks_have_the_size_and_range(size):
    regions = region_masks(MESH * np.float32(size / 256), size)
    for name in NAMES:
        mask = getattr(regions, name)
        assert mask.shape == (size, size)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
        assert mask.max() > 0.8 or name == "mouth" or size < 100


def test_points_lie_in_their_regions():
    regions = region_masks(MESH, 256)

    def at(name, index):
        x, y = MESH[index, :2].astype(int)
        return getattr(regions, name)[y, x]

    for index in (50, 280, 151, 195, 199):
        assert at("skin", index) > 0.95
    for index in (468, 473):
        assert at("eyes", index) == 1
        assert at("skin", index) == 0
        assert at("lids", index) == 0
    assert at("brows", 52) > 0.3
    assert at("lids", 222) > 0.5
    assert at("lips", 16) > 0.9
    assert at("skin", 16) < 0.05
    assert regions.skin[2, 2] == 0


def test_regions_do_not_overlap_where_it_matters():
    mesh = MESH.copy()
    low = [14, 87, 178, 88, 95, 317, 402, 318, 324, 17, 84, 181, 314, 405]
    mesh[low, 1] += 15
    regions = region_masks(mesh, 256)
    assert regions.mouth.max() == 1
    assert (regions.lips[regions.mouth == 1] == 0).all()
    assert (regions.skin[regions.mouth == 1] == 0).all()
    assert (regions.skin[regions.eyes == 1] == 0).all()
    assert (regions.skin * regions.eyes).max() < 0.3
    assert (regions.lids * regions.eyes).max() < 0.3


def test_mirrored_mesh_gives_mirrored_masks():
    mesh = MESH.copy()
    mesh[:, 0] = mesh[:, 0] * 0.9 + 9.3  # not symmetric in the picture
    mesh[:234, 1] += 1.7
    flipped = mesh[mirror_index()].copy()
    flipped[:, 0] = 256 - flipped[:, 0]
    one, two = region_masks(mesh, 256), region_masks(flipped, 256)
    for name in NAMES:
        assert np.abs(getattr(one, name) - getattr(two, name)[:, ::-1]).max() < 2e-3


@settings(max_examples=20, deadline=None)
@given(dx=st.floats(-400, 400), dy=st.floats(-400, 400), scale=st.floats(0.1, 3))
def test_faces_partly_or_wholly_outside(dx, dy, scale):
    regions = region_masks(MESH * np.float32(scale) + np.float32([dx, dy, 0]), (90, 70))
    for name in NAMES:
        mask = getattr(regions, name)
        assert mask.shape == (90, 70)
        assert np.isfinite(mask).all()


def test_same_share_of_the_crop_at_every_size():
    small, large = region_masks(MESH, 256), region_masks(MESH * 2, 512)
    for name in NAMES:
        a, b = getattr(small, name).mean(), getattr(large, name).mean()
        assert abs(a - b) < 0.03 * max(a, 0.003)


def test_face_scale_is_one_for_the_canonical_face():
    assert face_scale(MESH) == pytest.approx(1.0, abs=1e-4)
    assert face_scale(MESH * 1.7 + 5) == pytest.approx(1.7, abs=1e-3)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="478"):
        region_masks(MESH[:10], 64)
    with pytest.raises(InputError, match="finite"):
        region_masks(MESH * np.nan, 64)
    with pytest.raises(InputError, match="positive"):
        region_masks(MESH, 0)
    with pytest.raises(FaceError):
        region_masks(np.zeros((478, 3), np.float32), 64)


def test_fill_covers_the_area_of_a_polygon():
    box = np.array([[2.25, 3.5], [7.75, 3.5], [7.75, 9.25], [2.25, 9.25]])
    mask = fill(box, 12, 12)
    assert mask.sum() == pytest.approx(5.5 * 5.75, rel=0.01)
    assert mask[5, 4] == 1
    assert mask[5, 2] == pytest.approx(0.75, abs=1e-4)
    assert mask[0].sum() == 0
    assert fill(box[::-1], 12, 12) == pytest.approx(mask)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-20, 40), st.floats(-20, 40)), min_size=3, max_size=12))
def test_fill_takes_any_polygon(points):
    mask = fill(np.array(points), 20, 16)
    assert mask.shape == (20, 16)
    assert mask.min() >= 0
    assert mask.max() <= 1 + 1e-6


@pytest.mark.parametrize("shape", [(40, 60), (150, 130), (64, 64, 3), (200, 120, 2)])
@pytest.mark.parametrize("sigma", [0.4, 1.3, 4.0, 9.0])
def test_blur_keeps_level_and_shape(shape, sigma):
    flat = np.full(shape, 3.5, np.float32)
    assert np.allclose(blur(flat, sigma), 3.5, atol=1e-3)
    block = np.zeros(shape, np.float32)
    half = 6
    block[
        shape[0] // 2 - half : shape[0] // 2 + half, shape[1] // 2 - half : shape[1] // 2 + half
    ] = 1
    soft = blur(block, sigma)
    assert soft.shape == shape
    assert soft.min() >= 0
    assert soft.sum() == pytest.approx(block.sum(), rel=0.06)
    index = np.arange(shape[1]) - shape[1] // 2 + 0.5
    profile = soft.reshape(*shape[:2], -1)[..., 0].sum(0)
    width = np.sqrt((profile * index**2).sum() / profile.sum())
    assert width == pytest.approx(np.hypot(sigma, 2 * half / np.sqrt(12)), rel=0.1)


def test_blur_of_a_part_is_a_part_of_the_blur():
    rng = np.random.default_rng(1)
    small = rng.random((90, 90)).astype(np.float32)
    wide = np.pad(small, 30, mode="edge")
    assert np.allclose(blur(small, 1.4), blur(wide, 1.4)[30:-30, 30:-30], atol=1e-5)


def test_shrink_and_grow_keep_the_mean():
    image = np.random.default_rng(2).random((40, 48, 2)).astype(np.float32)
    small = shrink(image, 4)
    assert small.shape == (10, 12, 2)
    assert np.allclose(small.mean((0, 1)), image.mean((0, 1)), atol=0.01)
    assert grow(small, (40, 48)).shape == (40, 48, 2)


def test_curve_passes_through_its_points():
    points = np.array([[0, 0], [4, 1], [5, 6], [1, 7]], np.float32)
    assert np.allclose(catmull_rom(points, 5)[::5], points)
    open_curve = catmull_rom(points, 5, closed=False)
    assert np.allclose(open_curve[::5], points, atol=1e-5)
    assert len(open_curve) == 16
