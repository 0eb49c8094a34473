import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visagist.face.align import Alignment, align
from visagist.face.topology import canonical_points
from visagist.recognition.crop import CENTRE, FIELD, INPUT_SIZE, recognition_crop


def test_shows_the_stated_part_of_the_canonical_crop():
    view = recognition_crop(align(canonical_points()))
    corners = view.to_photo(np.array([[0, 0], [INPUT_SIZE, INPUT_SIZE]], float))
    np.testing.assert_allclose(corners.mean(0), np.array(CENTRE) * 256, atol=1e-3)
    np.testing.assert_allclose(corners[1] - corners[0], FIELD * 256, atol=1e-3)


def test_agrees_with_dlibs_face_chip_on_the_canonical_face():
    # Outer eye corners and base of the nose in dlib's chips: 150 pixels, a quarter of padding.
    chip = (0.25 + np.array([[0.8596, 0.2135], [0.1206, 0.2137], [0.4901, 0.6278]])) / 1.5 * 150
    points = recognition_crop(align(canonical_points()), 150).to_crop(
        canonical_points()[[263, 33, 2], :2]
    )
    assert np.abs(points - chip).max() < 6


@given(st.floats(-180, 180), st.floats(0.05, 20), st.integers(16, 512))
def test_follows_the_face(angle, scale, size):
    turn = np.deg2rad(angle)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = canonical_points()[:, :2] @ rotation.T + [31.0, -7.0]
    still = recognition_crop(align(canonical_points()), size)
    moved = recognition_crop(align(points), size)
    assert isinstance(moved, Alignment) and moved.size == size
    np.testing.assert_allclose(
        moved.to_crop(points), still.to_crop(canonical_points()[:, :2]), atol=size * 1e-3
    )
