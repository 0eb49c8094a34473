from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import placed_face, write_tree
from visagist.corpus.labelled import read_faces
from visagist.errors import DataError

SPLITS = {"b.png": "train", "a.png": "train", "c.png": "validation", "d.png": "test"}


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", SPLITS, generator="acme")


def names(faces):
    return [face.name for face in faces]


def test_every_face_with_its_labels(tree):
    faces = read_faces(tree, folders=["portraits"])
    assert names(faces) == [f"portraits/{x}.png" for x in "abcd"]
    face = faces[1]
    _, mesh = placed_face(0)
    assert face.path == tree / "portraits" / "b.png"
    assert (face.split, face.identity, face.generator) == ("train", "portraits-0", "acme")
    assert np.abs(face.mesh - mesh).max() <= 1 / 32
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    assert np.allclose(face.box, [*low, *high], atol=1e-3)


def test_splits_and_generators_are_filtered(tree):
    assert names(read_faces(tree, folders=["portraits"], splits=["test"])) == ["portraits/d.png"]
    without = read_faces(tree, folders=["portraits"], splits=["train"], without_generators=["acme"])
    assert names(without) == ["portraits/a.png"]


def test_a_face_whose_mesh_failed_is_left_out(tree):
    path = tree / "labels" / "portraits.npz"
    with np.load(path) as data:
        labels = dict(data)
    labels["mesh_ok"][0] = False
    np.savez(path, **labels)
    assert "portraits/b.png" not in names(read_faces(tree, folders=["portraits"]))


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: (t / "splits.csv").unlink(), "cannot read the splits"),
        (lambda t: rewrite(t / "splits.csv", "identity", "person"), "column 'identity'"),
        (lambda t: rewrite(t / "splits.csv", "portraits-3", "portraits-0"), "is in two splits"),
        (lambda t: rewrite(t / "splits.csv", "a.png", "z.png"), "has no split"),
        (lambda t: (t / "labels" / "portraits.npz").unlink(), "cannot read the labels"),
        (
            lambda t: (t / "labels" / "portraits.npz").write_bytes(b"PK\x03\x04"),
            "cannot read the labels",
        ),
        (lambda t: np.savez(t / "labels" / "portraits.npz", image=[]), "cannot read the labels"),
    ],
    ids=["no splits", "no column", "two splits", "no split", "no labels", "broken", "no arrays"],
)
def test_a_tree_that_does_not_fit_is_refused(tree, spoil, message):
    spoil(tree)
    with pytest.raises(DataError, match=message):
        read_faces(tree, folders=["portraits"])


def test_nobody_left(tree):
    with pytest.raises(DataError, match="no labelled face"):
        read_faces(tree, folders=["portraits"], splits=["nowhere"])
