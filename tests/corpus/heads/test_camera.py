import numpy as np
import pytest

from visagist.corpus.heads.camera import Camera, Pose, rotation


@pytest.mark.parametrize(
    ("pose", "axis", "sign"),
    [(Pose(yaw=20), 0, 1), (Pose(pitch=20), 1, -1)],
)
def test_the_nose_moves_where_the_angles_say(pose, axis, sign):
    camera = Camera(10, 1000, 500)
    tip = np.array([[0, -0.4, 0.4]], np.float32)
    moved = camera.project(pose.place(tip)) - camera.project(tip)
    assert moved[0, axis] * sign > 5


def test_roll_is_clockwise_in_the_picture():
    camera = Camera(10, 1000, 500)
    top = np.array([[0, 1.0, 0]], np.float32)
    moved = camera.project(Pose(roll=15).place(top)) - camera.project(top)
    assert moved[0, 0] > 5


def test_rotations_are_rotations():
    r = rotation(31, -12, 7)
    assert np.allclose(r @ r.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(r) == pytest.approx(1)


def test_the_shoulders_follow_only_in_part():
    shoulder = np.array([[1.8, -2.6, -1.0]], np.float32)
    still = Pose(yaw=40, pitch=20, follow=0.0).place(shoulder)
    assert np.allclose(still, shoulder, atol=1e-5)
    assert not np.allclose(Pose(yaw=40, follow=0.5).place(shoulder), shoulder, atol=0.1)


def test_the_clip_matrix_is_the_projection_and_the_crop():
    camera = Camera(8.0, 900.0, 640.0, (0.3, -0.2))
    crop = np.array([[0.7, 0.1, -30.0], [-0.1, 0.7, 12.0]])
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    clip = np.c_[points, np.ones(50)] @ camera.clip_matrix(crop, 128, 1.0, 80.0).T
    pixels = (clip[:, :2] / clip[:, 3:] * [1, -1] + 1) * 64
    expected = camera.project(points)[:, :2] @ crop[:, :2].T + crop[:, 2]
    assert np.allclose(pixels, expected, atol=1e-2)
    # the nearest and the farthest depth are the ends of the depth range
    ends = np.array([[0, 0, 8.0 - 1.0, 1], [0, 0, 8.0 - 80.0, 1]])
    z, w = (ends @ camera.clip_matrix(crop, 128, 1.0, 80.0).T)[:, 2:].T
    assert np.allclose(z / w, [-1, 1], atol=1e-4)


def test_depth_is_in_pixels_and_nearer_is_smaller():
    camera = Camera(10, 1000, 500)
    z = camera.project(np.array([[0, 0, 0.5], [0, 0, 0.0]], np.float32))[:, 2]
    assert z[1] - z[0] == pytest.approx(0.5 * camera.scale)
