from __future__ import annotations

import numpy as np
import pytest

from visagist.errors import NoFaceError
from visagist.face.topology import LEFT_IRIS, LIPS_OUTER
from visagist.makeup import preview
from visagist.makeup.preview import drawn_face, style_sheet
from visagist.makeup.style import load_style


def test_the_drawing_shows_a_face_where_its_mesh_says() -> None:
    picture, mesh = drawn_face()
    assert picture.shape == (512, 512, 3)
    x, y = mesh[list(LEFT_IRIS), :2].mean(0).astype(int)
    assert picture[y, x].max() < 60  # the pupil
    lip = mesh[list(LIPS_OUTER), :2]
    assert ((lip > 0) & (lip < 512)).all()
    assert picture.std() > 10


def test_a_style_changes_the_drawing_where_it_should() -> None:
    plain = style_sheet([])
    bold = style_sheet([load_style("classic")])
    assert bold.shape[1] == plain.shape[1]
    left, right = bold[:256, 8:264].astype(int), bold[:256, 272:528].astype(int)
    changed = np.abs(left - right).max(-1) > 20
    assert 0.005 < changed.mean() < 0.5


def test_a_photo_without_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "find_faces", lambda pixels: [])
    with pytest.raises(NoFaceError, match="no face"):
        style_sheet([], np.zeros((64, 64, 3), np.uint8))
