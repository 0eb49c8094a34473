from __future__ import annotations

import numpy as np
import pytest

from visagist.errors import DataError
from visagist.recognition.evaluation.layouts import Pair, read_cfp, read_lfw

LFW = "2\t1\nAda_L\t1\t4\nAda_L\t2\tBo\t10\nBo\t3\t5\nBo\t1\tCy_O'C\t1\n"


def test_lfw_pairs_folds_and_file_names(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(LFW)
    images = tmp_path / "lfw"
    assert read_lfw(path, images) == [
        Pair(images / "Ada_L/Ada_L_0001.jpg", images / "Ada_L/Ada_L_0004.jpg", True, 0),
        Pair(images / "Ada_L/Ada_L_0002.jpg", images / "Bo/Bo_0010.jpg", False, 0),
        Pair(images / "Bo/Bo_0003.jpg", images / "Bo/Bo_0005.jpg", True, 1),
        Pair(images / "Bo/Bo_0001.jpg", images / "Cy_O'C/Cy_O'C_0001.jpg", False, 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("ten\t300\n", "first line"),
        ("2\t2\nAda\t1\t2\n", "1 pairs instead of 8"),
        ("1\nAda\t1\t2\nAda\t1\tBo\tx\n", ":3: not a pair"),
        ("1\nAda\t1\t2\n../etc\t1\tBo\t2\n", "not a pair"),
        ("1\nAda\t1\t2\nAda\t1\n", "not a pair"),
    ],
)
def test_lfw_names_what_is_wrong(tmp_path, text, message):
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_lfw(tmp_path / "pairs.txt", tmp_path)


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="not a text"):
        read_lfw(tmp_path / "pairs.txt", tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_lfw(tmp_path / "none.txt", tmp_path)


@pytest.fixture
def cfp(tmp_path):
    protocol = tmp_path / "Protocol"
    for fold, (same, diff) in {"01": ("1,1\n2,2", "1,2"), "02": ("3,3", "2,3\n3,1")}.items():
        folder = protocol / "Split" / "FP" / fold
        folder.mkdir(parents=True)
        (folder / "same.txt").write_text(same)
        (folder / "diff.txt").write_text(diff)
    for name, kind in (("F", "frontal"), ("P", "profile")):
        rows = [f"{i} ../Data/Images/00{i}/{kind}/01.jpg" for i in (1, 2, 3)]
        (protocol / f"Pair_list_{name}.txt").write_text("\n".join(rows))
    return tmp_path


def test_cfp_pairs_frontal_with_profile(cfp):
    pairs = read_cfp(cfp)
    images = cfp / "Data" / "Images"
    assert pairs[0] == Pair(images / "001/frontal/01.jpg", images / "001/profile/01.jpg", True, 0)
    assert pairs[4] == Pair(images / "002/frontal/01.jpg", images / "003/profile/01.jpg", False, 1)
    assert np.bincount([p.fold for p in pairs]).tolist() == [3, 3]
    assert sum(p.same for p in pairs) == 3


def test_cfp_refuses_unknown_pictures_and_paths_that_leave(cfp):
    (cfp / "Protocol/Split/FP/01/same.txt").write_text("1,9")
    with pytest.raises(DataError, match="no such pair"):
        read_cfp(cfp)
    (cfp / "Protocol/Pair_list_P.txt").write_text("1 ../../secret/01.jpg")
    with pytest.raises(DataError, match="not a picture"):
        read_cfp(cfp)
    with pytest.raises(DataError, match="no folds"):
        read_cfp(cfp, "FF")
