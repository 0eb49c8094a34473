import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visagist.face.detect.boxes import area, overlap, shifted, squared, suppress


def iou(a, b, over_smaller=False):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    sizes = [(v[2] - v[0]) * (v[3] - v[1]) for v in (a, b)]
    whole = min(sizes) if over_smaller else sum(sizes) - shared
    return shared / whole


def slow_suppress(boxes, scores, limit, over_smaller):
    left = sorted(range(len(boxes)), key=lambda k: (-scores[k], k))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [k for k in left if iou(boxes[best], boxes[k], over_smaller) <= limit]
    return kept


@st.composite
def some_boxes(draw):
    count = draw(st.integers(0, 12))
    # whole numbers keep overlaps away from the limit's rounding
    corner = draw(hnp.arrays(np.int64, (count, 2), elements=st.integers(-20, 40)))
    sides = draw(hnp.arrays(np.int64, (count, 2), elements=st.integers(1, 30)))
    scores = draw(hnp.arrays(np.int64, (count,), elements=st.integers(0, 5)))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    return boxes.astype(np.float32), scores.astype(np.float32)


@given(some_boxes(), st.sampled_from([0.123, 0.4567, 0.789]), st.booleans())
def test_suppression_agrees_with_the_slow_way(given_boxes, limit, over_smaller):
    boxes, scores = given_boxes
    kept = suppress(boxes, scores, limit, over_smaller=over_smaller)
    assert kept.tolist() == slow_suppress(boxes.tolist(), scores.tolist(), limit, over_smaller)


@given(some_boxes(), st.integers(1, 4))
def test_keeping_few_keeps_the_first_of_all(given_boxes, few):
    boxes, scores = given_boxes
    everything = suppress(boxes, scores, 0.5)
    assert suppress(boxes, scores, 0.5, keep_at_most=few).tolist() == everything[:few].tolist()


@given(some_boxes())
def test_squares_keep_centre_and_longer_side(given_boxes):
    boxes, _ = given_boxes
    squares = squared(boxes)
    assert np.allclose(squares[:, :2] + squares[:, 2:], boxes[:, :2] + boxes[:, 2:], atol=1e-3)
    sides = boxes[:, 2:] - boxes[:, :2]
    expected = sides.max(1) ** 2 if len(boxes) else np.zeros(0)
    assert np.allclose(area(squares), expected, rtol=1e-4)


@given(some_boxes())
def test_no_shift_changes_nothing(given_boxes):
    boxes, _ = given_boxes
    assert np.array_equal(shifted(boxes, np.zeros_like(boxes)), boxes)


def test_overlap_of_a_box_inside_another():
    big, small = np.array([0, 0, 10, 10], np.float32), np.array([[2, 2, 7, 7]], np.float32)
    assert overlap(big, small) == pytest.approx([0.25])
    assert overlap(big, small, over_smaller=True) == pytest.approx([1.0])
    assert overlap(big, small + 20) == pytest.approx([0.0])


def test_boxes_without_extent_have_no_area_and_do_not_divide_by_zero():
    point = np.array([[3, 3, 3, 3], [5, 5, 4, 4]], np.float32)
    assert area(point).tolist() == [0, 0]
    assert suppress(point, np.ones(2, np.float32), 0.5).tolist() == [0, 1]
