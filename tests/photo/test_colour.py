import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visagist.errors import InputError
from visagist.photo.colour import lab_to_rgb, linear_to_srgb, rgb_to_lab, srgb_to_linear

# Published Lab (D65, 2 degrees) of sRGB colours, from Lindbloom's and EasyRGB's calculators.
PUBLISHED = {
    (255, 255, 255): (100.00, 0.00, 0.00),
    (0, 0, 0): (0.00, 0.00, 0.00),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (255, 255, 0): (97.14, -21.55, 94.48),
    (0, 255, 255): (91.11, -48.09, -14.13),
    (255, 0, 255): (60.32, 98.23, -60.82),
    (128, 128, 128): (53.59, 0.00, 0.00),
}


def reference_lab(rgb):
    """Independent float64 formula, one colour at a time, with the rounded IEC matrix."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    rows = (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
    xyz = [sum(m * v for m, v in zip(row, linear, strict=True)) / sum(row) for row in rows]
    fx, fy, fz = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in xyz
    )
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("rgb", PUBLISHED)
def test_lab_matches_published_values(rgb):
    lab = rgb_to_lab(np.array([[rgb]], np.uint8))
    np.testing.assert_allclose(lab[0, 0], PUBLISHED[rgb], atol=0.02)


def test_lab_matches_the_formula_on_a_grid_of_colours():
    steps = np.linspace(0, 255, 12).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    expected = np.array([reference_lab(c / 255.0) for c in grid])
    np.testing.assert_allclose(rgb_to_lab(grid), expected, atol=0.02)


def test_known_points_of_the_srgb_curve():
    # IEC 61966-2-1: 0.5 stored is 0.21404 linear, and 18 % grey is stored as 0.46136.
    np.testing.assert_allclose(srgb_to_linear(np.float32([0.5])), [0.214041], atol=1e-6)
    np.testing.assert_allclose(linear_to_srgb(np.float32([0.18])), [0.461356], atol=1e-6)


def test_bytes_and_floats_agree():
    levels = np.arange(256, dtype=np.uint8)
    floats = levels.astype(np.float32) / 255
    np.testing.assert_allclose(srgb_to_linear(levels), srgb_to_linear(floats), atol=1e-6)
    assert np.all(np.diff(srgb_to_linear(levels)) > 0)


def test_every_byte_survives_linear_light():
    levels = np.arange(256, dtype=np.uint8)
    back = np.rint(linear_to_srgb(srgb_to_linear(levels)) * 255).astype(np.uint8)
    np.testing.assert_array_equal(back, levels)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_bytes_survive_lab(rgb):
    back = np.rint(lab_to_rgb(rgb_to_lab(rgb)) * 255).astype(np.uint8)
    np.testing.assert_array_equal(back, rgb)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-200, 200, width=32, allow_subnormal=False))
)
def test_any_lab_gives_a_colour_within_range(lab):
    rgb = lab_to_rgb(lab)
    assert rgb.dtype == np.float32
    assert rgb.min() >= 0.0
    assert rgb.max() <= 1.0


def test_greys_have_no_colour():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.abs(rgb_to_lab(grey)[:, 1:]).max() < 1e-3


def test_inputs_stay_untouched_and_outputs_are_float32():
    rgb = np.linspace(0, 1, 12, dtype=np.float64).reshape(2, 2, 3)
    kept = rgb.copy()
    for function in (srgb_to_linear, linear_to_srgb, rgb_to_lab, lab_to_rgb):
        assert function(rgb).dtype == np.float32
    np.testing.assert_array_equal(rgb, kept)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (srgb_to_linear, np.zeros((2, 3), np.int32)),
        (linear_to_srgb, np.zeros((2, 3), np.uint8)),
        (rgb_to_lab, np.zeros((2, 4), np.uint8)),
        (lab_to_rgb, np.zeros((2, 2), np.float32)),
        (lab_to_rgb, np.zeros((2, 3), np.uint8)),
    ],
)
def test_wrong_arrays_are_refused(function, value):
    with pytest.raises(InputError):
        function(value)
