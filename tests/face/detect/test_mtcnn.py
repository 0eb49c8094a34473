import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.face.drawn import drawn_eyes, drawn_face
from visagist.errors import InputError
from visagist.face.detect import Detector, MtcnnDetector, default_detector


@pytest.fixture(scope="module")
def detector():
    return default_detector()


def check(detections, size, at):
    """One face, where it was drawn."""
    assert len(detections) == 1
    found = detections[0]
    assert 0.8 < found.score <= 1
    eyes = drawn_eyes(size, at=at)
    apart = np.linalg.norm(eyes[1] - eyes[0])
    assert found.points.shape == (5, 2)
    assert found.points.dtype == np.float32
    assert np.abs(found.points[:2] - eyes).max() < 0.2 * apart
    x0, y0, x1, y1 = found.box
    assert np.all((eyes > (x0, y0)) & (eyes < (x1, y1)))
    assert 0.5 * size < x1 - x0 < size
    # nose between eyes and mouth, mouth corners in order
    _, _, nose, left, right = found.points
    assert eyes[0, 1] < nose[1] < left[1]
    assert left[0] < nose[0] < right[0]


def test_it_is_a_detector(detector):
    assert isinstance(detector, Detector)
    assert detector.name == "mtcnn"
    assert default_detector() is detector


@pytest.mark.parametrize("size", [120, 200])
def test_finds_a_drawn_face_and_its_points(detector, size):
    check(detector.detect(drawn_face(size)), size, (100, 40))


def test_position_and_scale_follow_the_picture(detector):
    at = (300, 180)
    pixels = drawn_face(200, canvas=(700, 500), at=at)
    check(detector.detect(pixels), 200, at)
    twice = np.asarray(Image.fromarray(pixels).resize((1400, 1000)))
    check(detector.detect(twice), 400, (600, 360))


def test_a_large_photo_is_searched_on_a_reduced_copy(detector):
    pixels = drawn_face(2000, canvas=(4000, 3000), at=(1000, 400))
    check(detector.detect(pixels), 2000, (1000, 400))


def test_small_faces_are_found_by_the_second_search():
    size, at = 36, (500, 300)
    pixels = drawn_face(size, canvas=(1400, 900), at=at)
    assert MtcnnDetector(smallest_again=None).detect(pixels) == []
    check(MtcnnDetector().detect(pixels), size, at)


def test_every_face_is_found_best_first(detector):
    left, right = drawn_face(160, canvas=(300, 300)), drawn_face(240, canvas=(400, 300))
    found = detector.detect(np.concatenate([left, right], axis=1))
    assert len(found) == 2
    assert sorted(d.box[0] > 290 for d in found) == [False, True]
    assert found[0].score >= found[1].score


def test_the_same_photo_gives_the_same_answer(detector):
    pixels = drawn_face(200)
    first, second = detector.detect(pixels), detector.detect(pixels.copy())
    assert first[0].box == second[0].box
    assert first[0].score == second[0].score
    assert np.array_equal(first[0].points, second[0].points)


def test_a_grey_face_is_found(detector):
    grey = np.asarray(Image.fromarray(drawn_face(200)).convert("L"))
    check(detector.detect(np.repeat(grey[:, :, None], 3, axis=2)), 200, (100, 40))


def test_views_of_an_array_are_fine(detector):
    pixels = drawn_face(200)
    mirrored = detector.detect(pixels[:, ::-1])
    assert len(mirrored) == 1
    assert mirrored[0].box[0] == pytest.approx(400 - detector.detect(pixels)[0].box[2], abs=12)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 40), (16, 16), (11, 300), (5000, 3), (3, 5000), (13, 4000)]
)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_odd_shapes_without_a_face(detector, shape, value):
    assert detector.detect(np.full((*shape, 3), value, np.uint8)) == []


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_noise_of_any_size_gives_finite_boxes(detector, height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    for found in detector.detect(pixels):
        assert np.isfinite(found.box).all()
        assert np.isfinite(found.points).all()


def test_busy_noise_is_no_face(detector):
    pixels = np.random.default_rng(5).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    assert detector.detect(pixels) == []


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(detector, wrong):
    with pytest.raises(InputError, match="uint8 RGB"):
        detector.detect(wrong)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(InputError, match="share"):
        MtcnnDetector(smallest=share)
