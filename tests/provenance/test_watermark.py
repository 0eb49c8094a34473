from __future__ import annotations

import numpy as np
import pytest

from tests.provenance.made import ATTACKS, jpeg, picture, scaled
from visagist.errors import InputError
from visagist.provenance import watermark
from visagist.provenance.watermark import carriers, frame, plane, tiled

ID = "c0ffee1234"
NUMBER = int(ID, 16)
WAVES = [[-5, 8], [-13, 1], [11, 6], [13, 4]]
PHASES = [-2.3562, -0.7854, 2.3562, -0.7854]
PLACES = [[4, 21], [4, 19], [18, 6], [1, 15]]


@pytest.fixture(scope="module")
def marked():
    return watermark.embed(picture(), ID)


@pytest.mark.parametrize("attack", ATTACKS)
def test_survives(marked, attack):
    found = watermark.read(ATTACKS[attack](marked.pixels))
    assert found is not None
    assert found.mark_id == ID


def test_is_hardly_visible(marked):
    before = picture()
    assert marked.psnr >= 40.0
    error = np.square(before.astype(float) - marked.pixels).mean()
    assert marked.psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert np.abs(before.astype(int) - marked.pixels).max() < 20
    assert marked.layers == ("tiled", "frame")


@pytest.mark.parametrize("side", [(64, 64), (65, 91), (700, 560)])
def test_small_and_large_pictures(side):
    made = watermark.embed(picture(side, seed=3), ID)
    assert made.psnr >= 40.0
    assert made.layers == (("frame",) if min(side) < 128 else ("tiled",))
    assert bool(made.warnings) == (min(side) < 128)
    for attacked in (made.pixels, jpeg(made.pixels, 70), scaled(made.pixels, 0.6)):
        found = watermark.read(attacked)
        assert found is not None
        assert found.mark_id == ID


def test_the_tile_grows_with_large_pictures():
    made = watermark.embed(picture((1400, 1500), seed=4), ID)
    found = watermark.read(scaled(made.pixels, 0.4))
    assert found is not None
    assert found.mark_id == ID
    assert made.psnr >= 40.0


def test_tells_how_far_it_was_scaled():
    made = tiled.write(picture((400, 400)), NUMBER, 41.0)
    found = tiled.find(plane.luma(scaled(made, 0.75)[30:, 20:]))
    assert found is not None
    assert found.mark_id == NUMBER
    assert found.scale == pytest.approx(0.75, abs=0.005)


def test_unmarked_pictures_carry_nothing():
    for seed in range(12):
        assert watermark.read(picture((150 + 20 * seed, 200), seed=seed)) is None


def test_flat_pictures_neither_break_nor_carry_anything():
    for level in (0, 128, 255):
        flat = np.full((200, 230, 3), level, np.uint8)
        assert watermark.read(flat) is None
        found = watermark.read(watermark.embed(flat, ID).pixels)
        assert found is None or found.mark_id == ID
    assert watermark.read(np.zeros((10, 500, 3), np.uint8)) is None


def test_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="32 pixels"):
        watermark.embed(picture((31, 60)), ID)
    for wrong in ("", "c0ffee", "c0ffee12345", "not hexadecimal"[:10]):
        with pytest.raises(InputError, match="hexadecimal"):
            watermark.embed(picture((64, 64)), wrong)


def test_does_not_change_its_input_and_repeats_itself():
    before = picture((200, 180))
    copy = before.copy()
    one, other = watermark.embed(before, ID), watermark.embed(before, ID)
    assert np.array_equal(before, copy)
    assert np.array_equal(one.pixels, other.pixels)


def test_the_carriers_are_fixed_for_ever():
    # Pictures that are out in the world are read with these; a change needs another name in
    # manifest.SOFT_BINDING and both readers.
    assert carriers.WAVES[:4].tolist() == WAVES
    assert [round(float(np.angle(w)), 4) for w in carriers.SYNC_WAVE[:4]] == PHASES
    assert frame._PLACES[:4].tolist() == PLACES


def test_waves_are_summed_exactly():
    # Against the transform of numpy: one period of a wave a picture of whole tiles.
    x = picture((128, 192))[..., 1].astype(np.float32)
    mine = tiled._waves_at(x, 64.0, 64.0, (0.5, 0.5))
    theirs = np.fft.fft2(x)
    for wave, value in zip(carriers.WAVES[:20], mine, strict=False):
        expected = theirs[(wave[1] * 2) % 128, (wave[0] * 3) % 192]
        assert value == pytest.approx(expected, rel=1e-3, abs=30.0)


def test_box_mean():
    x = np.random.default_rng(0).random((23, 31)).astype(np.float32)
    for radius in (1, 3, 6):
        padded = np.pad(x, radius, mode="edge")
        width = 2 * radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width))
        assert np.allclose(plane.box_mean(x, radius), windows.mean((2, 3)), atol=1e-5)


def test_the_frame_transform_is_orthonormal():
    basis = frame._basis(64)
    assert np.allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
