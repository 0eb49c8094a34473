from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_mesh
from visagist.errors import InputError
from visagist.face.expression import EXPRESSION, expression
from visagist.face.pose import pose, rotation
from visagist.face.topology import canonical_points


def at(name: str, mesh: np.ndarray) -> float:
    return float(expression(mesh)[EXPRESSION.index(name)])


@given(st.floats(-40, 40), st.floats(-25, 25), st.floats(-180, 180), st.floats(0.3, 4))
@settings(deadline=None, max_examples=25)
def test_turning_scaling_and_moving_a_head_is_no_expression(yaw, pitch, roll, scale):
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_x = [[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]]
    about_z = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    front = canonical_points()
    turned = scale * front @ (np.array(about_z) @ about_y @ about_x).T + [300, -20, 7]
    np.testing.assert_allclose(expression(turned), expression(front), atol=2e-4)


def test_an_opening_mouth_opens_and_nothing_else():
    shut, open_ = drawn_mesh(256, gape=0.0), drawn_mesh(256, gape=12.0)
    gap = expression(open_) - expression(shut)
    assert gap[EXPRESSION.index("mouth_open")] > 0.1
    eyes = [EXPRESSION.index(name) for name in ("eye_right", "eye_left", "gaze_x")]
    assert np.abs(gap[eyes]).max() < 0.02


def test_signs_are_as_described():
    front = canonical_points().astype(np.float64)
    iris = front.copy()
    iris[468:, 0] += 3
    assert at("gaze_x", iris) > at("gaze_x", front)
    iris[468:, 1] += 2
    assert at("gaze_y", iris) > at("gaze_y", front)
    smile = front.copy()
    smile[[61, 291], 1] -= 4
    assert at("mouth_corners", smile) > at("mouth_corners", front)
    brow = front.copy()
    brow[105, 1] -= 4
    assert at("brow_right", brow) > at("brow_right", front)
    assert at("brow_left", brow) == pytest.approx(at("brow_left", front), abs=0.02)
    wink = front.copy()
    wink[159] = wink[145]
    assert at("eye_right", wink) < 0.02


def test_the_rotation_is_the_one_the_pose_reads():
    angle = np.radians(20)
    turn = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    mesh = canonical_points() @ turn.T
    np.testing.assert_allclose(rotation(mesh), turn, atol=1e-6)
    assert pose(mesh).yaw == pytest.approx(20, abs=1e-4)


def test_a_flat_mesh_is_refused():
    with pytest.raises(InputError, match="depth"):
        expression(canonical_points()[:, :2])
