from __future__ import annotations

import numpy as np
import pytest

from tests.makeup.made_face import drawn_mesh
from visagist.amplify.masks import by_region, changed_mask, composite, makeup_masks, reduced
from visagist.errors import InputError
from visagist.face.regions import region_masks


def at(mask: np.ndarray, mesh: np.ndarray, *points: int) -> np.ndarray:
    """Values of a mask at mesh points."""
    x, y = mesh[list(points), :2].astype(int).T
    return mask[y, x]


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    return drawn_mesh(gape=12.0)


@pytest.fixture(scope="module")
def masks(mesh: np.ndarray) -> dict[str, np.ndarray]:
    return makeup_masks(mesh)


def test_regions_are_where_they_belong(masks: dict[str, np.ndarray], mesh: np.ndarray) -> None:
    assert set(masks) == {"skin", "eyes", "lips"}
    forehead, cheeks = (151,), (50, 280)
    assert at(masks["skin"], mesh, *forehead, *cheeks).min() > 0.95
    lids, brows = (27, 257), (52, 282)
    assert at(masks["eyes"], mesh, *lids, *brows).min() > 0.95
    assert at(masks["lips"], mesh, 0, 17).max() > 0.3  # the outer edge, half covered
    for name, mask in masks.items():
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert ((mask > 0.05) & (mask < 0.95)).any(), f"{name} has hard edges"


def test_regions_share_and_do_not_double(masks: dict[str, np.ndarray]) -> None:
    assert np.sum(list(masks.values()), axis=0).max() <= 1 + 1e-6
    assert changed_mask(masks).max() <= 1


def test_eyeballs_and_the_open_mouth_are_in_no_region(
    masks: dict[str, np.ndarray], mesh: np.ndarray
) -> None:
    parts = region_masks(mesh, 256)
    for hole in (parts.eyes, parts.mouth):
        assert (hole == 1).sum() > 100
        assert changed_mask(masks)[hole == 1].max() == 0


def test_hair_and_background_are_exactly_zero(masks: dict[str, np.ndarray]) -> None:
    changed = changed_mask(masks)
    assert np.abs(changed[:8]).max() == 0
    assert np.abs(changed[:, [0, -1]]).max() == 0


@pytest.mark.parametrize("side", [32, 64, 128])
def test_a_reduced_mask_keeps_its_area(masks: dict[str, np.ndarray], side: int) -> None:
    small = reduced(masks["skin"], side)
    assert small.shape == (side, side)
    assert small.mean() == pytest.approx(masks["skin"].mean(), abs=2e-3)
    assert 0 <= small.min() <= small.max() <= 1


def test_a_mask_at_another_size_is_the_same_mask(masks: dict[str, np.ndarray]) -> None:
    large = makeup_masks(drawn_mesh(512, gape=12.0), 512)
    np.testing.assert_allclose(reduced(large["eyes"], 64), reduced(masks["eyes"], 64), atol=0.05)


def test_a_composite_keeps_the_outside_to_the_bit(masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=(2, 256, 256, 4)).astype(np.float32)
    mixed = composite(inside, outside, masks["lips"])
    np.testing.assert_array_equal(mixed[masks["lips"] == 0], outside[masks["lips"] == 0])
    full = masks["lips"] == 1
    assert full.any()
    np.testing.assert_allclose(mixed[full], inside[full], atol=1e-5)


def test_each_region_takes_its_own_picture(masks: dict[str, np.ndarray]) -> None:
    flat = {name: np.full((256, 256, 1), k + 1, np.float32) for k, name in enumerate(masks)}
    rest = np.full((256, 256, 1), 7, np.float32)
    mixed = by_region(flat, masks, rest)[..., 0]
    total = sum(masks.values())
    expected = sum((k + 1) * mask for k, mask in enumerate(masks.values()))
    inside = total > 0.05
    np.testing.assert_allclose(mixed[inside], expected[inside] / total[inside], atol=1e-5)
    assert (mixed[total == 0] == 7).all()
    only = by_region({"lips": flat["lips"]}, masks, rest)
    assert (only[masks["lips"] == 0] == 7).all()


def test_equal_pictures_in_all_regions_are_that_picture(masks: dict[str, np.ndarray]) -> None:
    picture = np.random.default_rng(2).normal(size=(256, 256, 3)).astype(np.float32)
    mixed = by_region(dict.fromkeys(masks, picture), masks, picture)
    np.testing.assert_array_equal(mixed, picture)


def test_wrong_arguments_say_so(masks: dict[str, np.ndarray], mesh: np.ndarray) -> None:
    nothing = np.zeros((256, 256, 3), np.float32)
    with pytest.raises(InputError, match="hair"):
        by_region({"hair": nothing}, masks, nothing)
    with pytest.raises(InputError, match="no picture"):
        by_region({}, masks, nothing)
    with pytest.raises(InputError, match="48"):
        reduced(masks["skin"], 48)
    with pytest.raises(InputError, match="size"):
        makeup_masks(mesh, 0)
    with pytest.raises(InputError, match="478"):
        makeup_masks(mesh[:100])
