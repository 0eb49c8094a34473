import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_mesh
from visagist.amplify.pixels.windows import KINDS, SIDE, joined, windows
from visagist.face.topology import LEFT_EYE, LEFT_IRIS, LIPS_OUTER, RIGHT_EYE, mirror_index


def smooth():
    line = np.linspace(0, 6, 256, dtype=np.float32)
    return np.stack([np.sin(line)[:, None] + 0 * line, np.cos(line)[None] + 0 * line[:, None]], 2)


def test_the_windows_hold_eyes_and_lips():
    mesh = drawn_mesh(256, turn=12)
    face, left, right, lips = windows(mesh)
    assert [KINDS[w.kind] for w in (face, left, right, lips)] == ["face", "eye", "eye", "lips"]
    for window, points in ((left, LEFT_EYE), (right, RIGHT_EYE), (lips, LIPS_OUTER)):
        inside = mesh[list(points), :2] - [window.x, window.y]
        assert inside.min() > 4 and inside.max() < window.side - 4


def test_a_right_eye_is_seen_as_a_left_one():
    mesh = drawn_mesh(256)
    mesh[:, 0] = (mesh[:, 0] + 256 - mesh[mirror_index(), 0]) / 2
    picture = np.zeros((256, 256, 1), np.float32)
    for x, y in mesh[list(LEFT_IRIS), :2]:
        picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 1
    picture = np.maximum(picture, picture[:, ::-1])
    _, left, right, _ = windows(mesh)
    assert left.cut(picture).max() > 0.5
    assert np.abs(left.cut(picture) - right.cut(picture)).mean() < 0.02


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_what_is_cut_and_put_back_is_where_it_was(dx, dy):
    mesh = drawn_mesh(256)
    mesh[:, :2] += np.float32([dx, dy])
    picture = smooth()
    for window in windows(mesh):
        back = window.put(window.cut(picture))
        x, y, side = int(window.x) + 6, int(window.y) + 6, int(window.side) - 12
        part = (slice(max(y, 0), y + side), slice(max(x, 0), x + side))
        assert np.abs(back[part] - picture[part]).max() < 0.03


def test_views_that_agree_are_joined_without_a_seam():
    seen = windows(drawn_mesh(256))
    picture = smooth()
    whole = joined(seen, np.stack([window.cut(picture) for window in seen]))
    assert np.abs(whole - picture)[4:-4, 4:-4].max() < 0.03
    even = joined(seen, np.ones((4, SIDE, SIDE, 3), np.float32))
    assert np.allclose(even, 1, atol=1e-5)
