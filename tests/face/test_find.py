import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import FaceChoiceError, FaceError
from visagist.face.find import choose, find_faces
from visagist.face.topology import canonical_points
from visagist.face.types import Detection, Face

PIXELS = np.zeros((400, 600, 3), np.uint8)


def mesh_in(box):
    """The canonical face stretched into a box."""
    points = np.zeros((478, 3), np.float32)
    flat = np.asarray(canonical_points())[:, :2]
    low, high = flat[:468].min(0), flat[:468].max(0)
    x0, y0, x1, y1 = box
    points[:, :2] = (flat - low) / (high - low) * [x1 - x0, y1 - y0] + [x0, y0]
    return points


class Fixed:
    name = "fixed"

    def __init__(self, *boxes):
        self.boxes = boxes

    def detect(self, pixels):
        return [Detection(box, 0.9 - 0.01 * k) for k, box in enumerate(self.boxes)]


class FakeMesher:
    """The detection's box is the face, unless told where the mesh ends up."""

    def __init__(self, confidence=(), ends=None):
        self.confidence = dict(confidence)
        self.ends = ends or {}

    def predict(self, pixels, detection):
        box = self.ends.get(detection.box, detection.box)
        return mesh_in(box), self.confidence.get(detection.box, 0.9)


SMALL, LARGE, MIDDLE = (10.0, 10.0, 60.0, 70.0), (100.0, 50.0, 300.0, 290.0), (350, 60, 450, 180)


def find(detector, mesher=None, **kwargs):
    return find_faces(PIXELS, detector=detector, mesher=mesher or FakeMesher(), **kwargs)


def test_faces_come_largest_first_whatever_their_score():
    found = find(Fixed(SMALL, LARGE, MIDDLE))
    assert [f.detection.box for f in found] == [LARGE, MIDDLE, SMALL]


def test_no_detection_needs_no_mesh_network():
    assert find_faces(PIXELS, detector=Fixed()) == []


def test_uncertain_meshes_are_dropped():
    mesher = FakeMesher({LARGE: 0.2, SMALL: 0.5})
    assert [f.detection.box for f in find(Fixed(SMALL, LARGE), mesher)] == [SMALL]
    assert len(find(Fixed(SMALL, LARGE), mesher, min_confidence=0.1)) == 2


def test_two_detections_on_one_face_count_once_and_the_surer_stays():
    near = (105.0, 55.0, 290.0, 280.0)
    mesher = FakeMesher({near: 0.95, LARGE: 0.8}, ends={near: LARGE})
    found = find(Fixed(LARGE, near, SMALL), mesher)
    assert [f.detection.box for f in found] == [near, SMALL]


def test_neighbours_are_two_faces():
    beside = (290.0, 60.0, 480.0, 290.0)
    assert len(find(Fixed(LARGE, beside))) == 2


def test_a_mesh_that_is_not_finite_is_no_face():
    class Broken(FakeMesher):
        def predict(self, pixels, detection):
            return np.full((478, 3), np.nan, np.float32), 0.99

    assert find(Fixed(LARGE), Broken()) == []


def test_a_detection_that_cannot_be_aligned_does_not_cost_the_others():
    class Strict(FakeMesher):
        def predict(self, pixels, detection):
            if detection.box == SMALL:
                raise FaceError("the face lies outside the photo")
            return super().predict(pixels, detection)

    assert [f.detection.box for f in find(Fixed(SMALL, LARGE), Strict())] == [LARGE]


@given(st.permutations([SMALL, LARGE, MIDDLE, (500.0, 10.0, 550.0, 70.0)]))
def test_the_order_of_detections_does_not_matter(boxes):
    assert [f.area for f in find(Fixed(*boxes))] == [f.area for f in find(Fixed(*sorted(boxes)))]


@pytest.fixture
def three():
    return find(Fixed(SMALL, LARGE, MIDDLE))


def test_choose(three):
    assert choose(three, "all") == three
    assert choose(three, "all") is not three
    assert choose(three, "largest") == three[:1]
    assert choose(three, 2) == three[2:]
    assert choose(three, "1") == three[1:2]
    assert choose([], "all") == []


@pytest.mark.parametrize("which", [3, -1, "7"])
def test_a_face_that_does_not_exist_says_how_many_there_are(three, which):
    with pytest.raises(FaceChoiceError, match=r"3 faces.*0 \(largest\) to 2"):
        choose(three, which)


@pytest.mark.parametrize("which", ["biggest", "", "-1", "1.0", True])
def test_other_words_are_refused(three, which):
    with pytest.raises(FaceChoiceError, match="largest"):
        choose(three, which)


def test_choosing_from_none_or_one():
    with pytest.raises(FaceChoiceError, match="no face was found"):
        choose([], "largest")
    one = [Face(Detection(LARGE, 0.9), mesh_in(LARGE), 0.9)]
    with pytest.raises(FaceChoiceError, match="1 face;"):
        choose(one, 1)
