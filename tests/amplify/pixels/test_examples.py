import json

import numpy as np
import pytest

from tests.amplify.pairs import face, look
from visagist.amplify.layers import Canvas
from visagist.amplify.pixels.config import ExamplesConfig
from visagist.amplify.pixels.examples import (
    CHANNELS,
    Sitters,
    group_of_examples,
    jittered,
    make_examples,
    room,
    stored_windows,
)

CONFIG = ExamplesConfig(groups=3, faces=3)


def people(count=4):
    faces = [face(i) for i in range(count)]
    meshes = np.stack([f.mesh for f in faces])
    return Sitters(np.stack([f.crop for f in faces]), meshes, meshes)


def test_a_group_shows_one_style_on_every_face():
    made = group_of_examples(people(), CONFIG, 0, margin=3)
    assert made.shape == (3, 4, 64, 64, 11)
    bare, laid, truth = (made[..., CHANNELS[n]].astype(int) for n in ("bare", "laid", "truth"))
    before, after = np.abs(truth - bare).mean(), np.abs(truth - laid).mean()
    assert 0 < after < before
    assert np.array_equal(made, group_of_examples(people(), CONFIG, 0, margin=3))
    assert not np.array_equal(made, group_of_examples(people(), CONFIG, 1, margin=3))


def test_examples_are_completed_where_they_were_left(tmp_path):
    whole = make_examples(people(), CONFIG, tmp_path / "a.npy", groups=range(3), margin=3)
    done = []
    path = tmp_path / "b.npy"
    np.save(path, np.zeros_like(whole))
    part = np.load(path, mmap_mode="r+")
    part[:3] = 7  # what is noted as done is not drawn again
    part.flush()
    note = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps(note | {"done": 1}))
    again = make_examples(
        people(), CONFIG, path, groups=range(3), margin=3, report=lambda d, n: done.append(d)
    )
    assert done == [2, 3]
    assert (again[:3] == 7).all() and np.array_equal(again[3:], whole[3:])
    other = make_examples(people(), CONFIG, path, groups=range(1, 4), margin=3)
    assert np.array_equal(other[:6], whole[3:])

    def stop(done, total):
        raise KeyboardInterrupt

    wanted = np.array(other)
    with pytest.raises(KeyboardInterrupt):  # after it has begun to overwrite the others
        make_examples(people(), CONFIG, path, groups=range(3), margin=3, report=stop)
    again = make_examples(people(), CONFIG, path, groups=range(1, 4), margin=3)
    assert np.array_equal(again, wanted)


def test_the_room_is_a_little_larger_than_the_regions():
    canvas = Canvas(face(0).crop, face(0).mesh)
    grown = room(canvas, 3)
    assert (grown >= canvas.allowed - 0.02).all() and grown.sum() > canvas.allowed.sum()
    assert room(canvas, 0) is canvas.allowed
    assert grown[:6].max() == 0


def test_windows_hold_what_they_are_given():
    pair = look(0)
    canvas = Canvas(pair.before, pair.mesh)
    change = pair.after.astype(np.float32) - pair.before
    stored = stored_windows(canvas, change, canvas.seen, change, margin=3)
    assert np.array_equal(stored[..., CHANNELS["laid"]], stored[..., CHANNELS["truth"]])
    assert stored[..., CHANNELS["known"]].max() == 255


def test_jitter_moves_meshes_by_about_its_size():
    mesh = face(0).mesh
    rng = np.random.default_rng(0)
    moved = np.mean(
        [np.linalg.norm((jittered(mesh, rng, 1.0) - mesh)[:, :2], axis=1).mean() for _ in range(40)]
    )
    assert 0.5 < moved < 2.5
    assert jittered(mesh, rng, 0.0) is mesh
