from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.corpus.quality import measure
from visagist.errors import InputError
from visagist.face.align import align, crop
from visagist.face.parts import Part
from visagist.face.pose import pose
from visagist.face.topology import canonical_points


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    """The canonical face turned to the image's right, up, and clockwise."""
    yaw, pitch, roll = np.radians(degrees)
    points = canonical_points().astype(np.float64)
    centre = points[:468].mean(0)
    x, y, z = (points - centre).T
    # looking up lifts what is near (z < 0): y falls
    y, z = y * np.cos(pitch) + z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
    x, z = x * np.cos(yaw) - z * np.sin(yaw), z * np.cos(yaw) + x * np.sin(yaw)
    x, y = x * np.cos(roll) - y * np.sin(roll), y * np.cos(roll) + x * np.sin(roll)
    return np.stack([x, y, z], 1) * 0.7 + centre


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 25), (-40, 15, -10), (12, -25, 33)]
)
def test_the_pose_is_the_turn_that_was_made(angles):
    found = pose(turned(angles))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx(angles, abs=1e-3)


def test_signs_are_those_of_the_picture():
    nose = 1
    still = turned((0, 0, 0))
    assert turned((20, 0, 0))[nose, 0] > still[nose, 0]  # to the image's right
    assert turned((0, 20, 0))[nose, 1] < still[nose, 1]  # up
    forehead = 10
    assert turned((0, 0, 20))[forehead, 0] > still[forehead, 0]  # clockwise


def test_a_mesh_without_depth_has_no_pose():
    with pytest.raises(InputError, match="depth"):
        pose(canonical_points()[:, :2])


def figures(picture, mesh, **options):
    return measure(picture, mesh.astype(np.float32), 1.0, face_width=100.0, **options)


def face(**options):
    mesh = drawn_mesh(256, **options)
    return drawn_face(mesh, 256), mesh


def test_figures_hardly_depend_on_the_size_and_the_zoom():
    picture = drawn_face(drawn_mesh(512), 512)
    mesh = drawn_mesh(512)
    one = measure(picture, mesh, 1.0, face_width=300.0)
    alignment = align(mesh, 288).widened(1.125)
    wide = measure(crop(picture, alignment), alignment.to_crop(mesh), 1.125, face_width=300.0)
    for name in ("luminance", "skin_a", "skin_b", "tone", "light_x", "light_y"):
        assert getattr(one, name) == pytest.approx(getattr(wide, name), abs=1.0), name
    assert one.yaw == pytest.approx(wide.yaw, abs=0.1)
    assert one.sharpness == pytest.approx(wide.sharpness, rel=0.5)


def test_blur_light_and_colour_move_their_figures():
    picture, mesh = face()
    plain = figures(picture, mesh)
    assert figures(cv2.GaussianBlur(picture, (0, 0), 2), mesh).sharpness < plain.sharpness / 2
    assert figures(picture // 2, mesh).luminance < plain.luminance - 10
    ramp = np.linspace(0.4, 1, 256)
    right = (picture * ramp[None, :, None]).astype(np.uint8)
    assert figures(right, mesh).light_x > plain.light_x + 5
    above = (picture * ramp[::-1, None, None]).astype(np.uint8)
    assert figures(above, mesh).light_y > plain.light_y + 5
    assert figures(np.clip(picture * 2.0, 0, 255).astype(np.uint8), mesh).clipped > 0.5
    assert plain.clipped == 0
    red = np.clip(picture * np.array([1.2, 1, 0.8]), 0, 255).astype(np.uint8)
    assert figures(red, mesh).skin_a > plain.skin_a
    assert figures(red, mesh).skin_b > plain.skin_b


def test_the_tone_orders_skins():
    mesh = drawn_mesh(256)
    tones = [
        figures(drawn_face(mesh, 256, skin), mesh).tone for skin in ("deep", "medium", "light")
    ]
    assert tones == sorted(tones)
    assert tones[0] < 0 < tones[2]


def test_an_open_mouth_is_measured():
    closed, opened = figures(*face()), figures(*face(gape=12.0))
    assert opened.mouth_open > closed.mouth_open + 0.1


def test_the_roll_is_the_photos():
    picture, mesh = face()
    assert figures(picture, mesh, turn=-20.0).roll == pytest.approx(20.0, abs=0.01)


def test_a_cover_is_seen_and_grows():
    picture, mesh = face()
    shares = []
    for height in (0, 40, 80):
        covered = picture.copy()
        covered[200 - height : 256, 40:216] = (30, 90, 40) if height else covered[200:, 40:216]
        shares.append(figures(covered, mesh).occluded)
    assert shares[0] < 0.02
    assert shares == sorted(shares)
    assert shares[2] > 0.25


def test_a_label_map_gives_the_covered_share_exactly():
    picture, mesh = face()
    parts = np.full((256, 256), Part.SKIN, np.uint8)
    assert figures(picture, mesh, parts=parts).occluded == 0
    parts[:, :128] = Part.OCCLUDER
    assert figures(picture, mesh, parts=parts).occluded == pytest.approx(0.5, abs=0.01)
    assert figures(picture, mesh, parts=np.zeros_like(parts)).occluded == 1


def test_a_face_outside_its_crop_has_figures_too():
    picture, mesh = face()
    found = figures(picture, mesh + np.array([5000, 0, 0]))
    assert found.occluded == 1
    assert found.sharpness == 0


def test_a_crop_that_is_none_is_refused():
    with pytest.raises(InputError, match="aligned crop"):
        figures(np.zeros((10, 20, 3), np.uint8), drawn_mesh(256))
