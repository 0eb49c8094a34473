from __future__ import annotations

import numpy as np
import pytest

from visagist.face import paste
from visagist.face.align import Alignment, crop
from visagist.face.paste import paste_crop, paste_residual


def placed(scale: float, centre: tuple[float, float], degrees: float = 0.0) -> Alignment:
    """An alignment with ``scale`` crop pixels per photo pixel, centred on a photo point."""
    angle = np.radians(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = 128 - linear @ np.array(centre)
    return Alignment(np.concatenate([linear, offset[:, None]], 1))


def photo(height: int = 300, width: int = 400) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 196, (height, width, 3), np.uint8)


def bump(level: float = 40.0) -> np.ndarray:
    """A smooth residual that is 0 from 100 pixels off the centre on."""
    y, x = np.mgrid[:256, :256] + 0.5 - 128
    height = np.clip(1 - np.hypot(x, y) / 100, 0, 1)
    height = height**2 * (3 - 2 * height)
    return (level * height[..., None] * np.array([1, -0.5, 0.25])).astype(np.float32)


def test_no_residual_changes_no_bit():
    before = photo()
    after = paste_residual(before, np.zeros((256, 256, 3), np.float32), placed(0.8, (200, 150)))
    assert np.array_equal(after, before)
    assert after is not before


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.7, 6.0])
@pytest.mark.parametrize("degrees", [0, 33])
def test_outside_the_footprint_no_bit_changes(scale, degrees):
    before = photo()
    alignment = placed(scale, (210, 140), degrees)
    after = paste_residual(before, bump(), alignment)
    rows, columns = np.mgrid[:300, :400] + 0.5
    where = alignment.to_crop(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(300, 400, 2)
    far = np.hypot(*np.moveaxis(where - 128, -1, 0)) > 100 + 2 * max(1, scale)
    assert far.any()
    assert np.array_equal(after[far], before[far])
    assert (after[~far] != before[~far]).any()


def test_the_original_is_left_alone():
    before = photo()
    kept = before.copy()
    paste_residual(before, bump(), placed(1.0, (200, 150)))
    assert np.array_equal(before, kept)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_a_constant_residual_adds_its_level_inside(scale):
    residual = np.zeros((256, 256, 3), np.float32)
    residual[32:-32, 32:-32] = (10, -20, 30)
    before = photo()
    after = paste_residual(before, residual, placed(scale, (200, 150))).astype(int)
    half = int(80 / max(scale, 0.6))  # pixels of the photo that are surely inside
    inside = np.s_[150 - min(half, 140) : 150 + min(half, 140), 200 - half : 200 + half]
    assert (after[inside] - before[inside] == (10, -20, 30)).all()


def test_levels_end_at_black_and_white():
    residual = np.zeros((256, 256, 3), np.float32)
    residual[64:-64, 64:-64] = (500, -500, 0)
    after = paste_residual(photo(), residual, placed(1.0, (200, 150)))
    assert tuple(after[150, 200, :2]) == (255, 0)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 2.0, 3.3])
def test_what_is_pasted_is_what_a_crop_then_shows(scale):
    """Face larger (scale < 1) and smaller than the crop; the picture is flat: only paste counts."""
    side = int(256 / scale) + 80
    before = np.full((side, side, 3), 120, np.uint8)
    alignment = placed(scale, (side / 2 + 0.3, side / 2 - 0.2), 10)
    after = paste_residual(before, bump(), alignment)
    shown = crop(after, alignment).astype(float) - 120
    error = np.abs(shown - bump())
    assert error.mean() < 0.4  # rounding to whole levels is 0.25
    assert error.max() < 2.0 * max(1, scale)
    # Its centre of mass is in place to a tenth of a crop pixel: no half-pixel shift.
    weight = np.clip(shown[..., 0], 0, None)
    grid = np.arange(256) + 0.5
    middle = [(weight.sum(1 - axis) * grid).sum() / weight.sum() for axis in (0, 1)]
    assert np.allclose(middle, 128, atol=0.1 * max(1, scale))


def test_strips_of_rows_do_not_show(monkeypatch):
    before = np.random.default_rng(1).integers(0, 256, (3000, 4000, 3), np.uint8)
    alignment = placed(0.12, (1900.5, 1500.25), 7)
    in_strips = paste_residual(before, bump(), alignment)
    monkeypatch.setattr(paste, "_STRIP", 10_000)
    at_once = paste_residual(before, bump(), alignment)
    difference = np.abs(in_strips.astype(int) - at_once)
    assert difference.max() <= 1  # Pillow's fixed point starts anew in each strip
    assert (difference > 0).mean() < 1e-3


def test_a_face_off_the_photo_changes_nothing():
    before = photo()
    assert np.array_equal(paste_residual(before, bump(), placed(1.0, (5000, 5000))), before)
    half = paste_residual(before, bump(), placed(1.0, (0, 0)))
    assert (half[:50, :50] != before[:50, :50]).any()
    assert np.array_equal(half[110:], before[110:])


def disc(radius: float = 90.0, feather: float = 10.0) -> np.ndarray:
    """A mask of 1 that falls to 0 from ``radius`` on."""
    y, x = np.mgrid[:256, :256] + 0.5 - 128
    return np.clip((radius + feather - np.hypot(x, y)) / feather, 0, 1).astype(np.float32)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7, 6.0])
@pytest.mark.parametrize("degrees", [0, 33])
def test_a_crop_changes_no_bit_outside_its_mask(scale, degrees):
    before = photo()
    alignment = placed(scale, (210, 140), degrees)
    image = np.full((256, 256, 3), 255, np.float32)
    after = paste_crop(before, image, disc(), alignment)
    rows, columns = np.mgrid[:300, :400] + 0.5
    where = alignment.to_crop(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(300, 400, 2)
    distance = np.hypot(*np.moveaxis(where - 128, -1, 0))
    far = distance > 100 + 2 * max(1, scale)
    assert np.array_equal(after[far], before[far])
    inside = distance < 90 - 2 * max(1, scale)
    assert (after[inside] == 255).all()


def test_a_crop_pasted_where_it_came_from_is_the_photo_again():
    smooth = np.stack(np.meshgrid(np.linspace(40, 200, 400), np.linspace(60, 180, 300)), 2)
    before = np.concatenate([smooth, smooth[..., :1]], 2).astype(np.uint8)
    for scale in (0.6, 1.3, 3.0):
        alignment = placed(scale, (200, 150), 20)
        view = crop(before, alignment).astype(np.float32)
        after = paste_crop(before, view, disc(), alignment)
        assert np.abs(after.astype(int) - before).max() <= 2


def test_half_a_mask_mixes_half_and_half():
    before = np.full((300, 400, 3), 100, np.uint8)
    image = np.full((256, 256, 3), 200, np.float32)
    after = paste_crop(before, image, disc() * np.float32(0.5), placed(1.0, (200, 150)))
    assert (after[150, 200] == 150).all()


def test_a_crop_beside_the_photo_is_no_error():
    before = photo()
    image = np.full((256, 256, 3), 9, np.float32)
    assert np.array_equal(paste_crop(before, image, disc(), placed(1.0, (-900, 150))), before)
