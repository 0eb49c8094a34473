from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import placed_face
from visagist.face.parser.classes import BACKGROUND, EYES, HAIR, IGNORE, LIPS, SKIN
from visagist.face.parser.labels import face_labels, label_photo, surroundings, unlike_skin
from visagist.face.regions import region_masks


@pytest.fixture(scope="module")
def face():
    return placed_face(1)


def covered(pixels: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """A green square on the cheek, on pixels that are skin."""
    x, y = mesh[205, :2].astype(int)
    pixels = pixels.copy()
    pixels[y - 8 : y + 8, x - 8 : x + 8] = (20, 200, 40)
    return pixels


def test_the_mesh_says_what_is_inside_the_face(face):
    _, mesh = face
    labels = face_labels(mesh, 300)
    regions = region_masks(mesh, 300)
    for number, mask in ((SKIN, regions.skin), (LIPS, regions.lips), (EYES, regions.eyes)):
        assert (labels == number).any()
        assert mask[labels == number].min() > 0.5
    assert labels[0, 0] == IGNORE


def test_what_has_another_colour_than_the_face_is_not_called_skin(face):
    pixels, mesh = face
    bare = label_photo(pixels, mesh, size=160, field=1.875)
    hidden = label_photo(covered(pixels, mesh), mesh, size=160, field=1.875)
    x, y = hidden.mesh[205, :2].astype(int)
    spot = (slice(y - 2, y + 3), slice(x - 2, x + 3))
    assert (bare.labels[spot] == SKIN).all()
    assert not (hidden.labels[spot] == SKIN).any()


def test_nothing_is_known_beyond_the_photo(face):
    pixels, mesh = face
    view = label_photo(pixels[40:], mesh - np.array([0, 40, 0], np.float32), size=160, field=2.5)
    assert not view.inside.all()
    assert (view.labels[~view.inside] == IGNORE).all()


def test_background_is_found_where_its_colour_is_its_own(face):
    pixels, mesh = face
    view = label_photo(pixels, mesh, size=160, field=1.875)
    found = view.labels == BACKGROUND
    oval = face_labels(view.mesh, 160) != IGNORE
    assert not (found & oval).any()
    assert not ((view.labels == HAIR) & (view.labels == BACKGROUND)).any()


def test_skin_colour_is_measured_on_the_face_itself(face):
    pixels, mesh = face
    skin = region_masks(mesh, 300).skin > 0.9
    away = unlike_skin(pixels, skin)
    assert np.median(away[skin]) < 1.2
    assert unlike_skin(pixels, np.zeros_like(skin)).max() == 0
    green = covered(pixels, mesh)
    x, y = mesh[205, :2].astype(int)
    assert unlike_skin(green, skin)[y, x] > 5


def test_a_failed_colour_model_says_nothing(face, monkeypatch):
    pixels, mesh = face
    view = label_photo(pixels, mesh, size=160, field=1.875)
    from visagist.face.parser import labels

    monkeypatch.setattr(labels, "_person", lambda picture, scene: np.zeros((160, 160), bool))
    scene = labels._Scene.of(view.view, view.mesh, view.inside)
    assert (surroundings(view.view, scene) == IGNORE).all()
