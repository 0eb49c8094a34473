import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.errors import InputError, UnknownStyleError
from visagist.makeup.retoucher import retouch
from visagist.makeup.sheet import style_sheet
from visagist.makeup.style import load_style

MESH = drawn_mesh(96)
FACES = [(drawn_face(MESH, 96, skin), MESH) for skin in ("light", "deep")]


def test_sheet_holds_bare_and_made_up_faces():
    sheet = style_sheet(FACES, ["classic", load_style("plum")])
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert sheet.shape[1] >= 3 * 96
    bottom = sheet[-96:]
    assert (bottom[:, :96] == FACES[1][0]).all()
    assert (bottom[:, -96:] == retouch(*FACES[1], load_style("plum"))).all()


def test_sheet_shows_every_style_by_default():
    assert style_sheet(FACES[:1]).shape[1] >= 11 * 96


def test_wrong_arguments():
    with pytest.raises(InputError, match="at least one face"):
        style_sheet([])
    with pytest.raises(InputError, match="same size"):
        style_sheet([FACES[0], (FACES[1][0][:90], MESH)])
    with pytest.raises(UnknownStyleError, match="rosewood"):
        style_sheet(FACES, ["rosewod"])
