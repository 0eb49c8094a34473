from __future__ import annotations

import numpy as np
import pytest

from visagist.errors import DataError
from visagist.recognition.evaluation.ijb import (
    fuse,
    identify,
    read_ijb_identification,
    read_ijb_verification,
    verify,
)


@pytest.fixture
def meta(tmp_path):
    # templates 1 and 2 of one person (2 is a video of two frames and a still), 3 of another
    (tmp_path / "ijbc_face_tid_mid.txt").write_text(
        "1.jpg 1 10\n2.jpg 2 20\n3.jpg 2 20\n4.jpg 2 21\n5.jpg 3 30\n"
    )
    (tmp_path / "ijbc_template_pair_label.txt").write_text("1 2 1\n1 3 0\n")
    head = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"
    (tmp_path / "ijbc_1N_gallery_G1.csv").write_text(head + "1,100,img/1.jpg\n")
    (tmp_path / "ijbc_1N_gallery_G2.csv").write_text(head + "3,200,img/5.jpg\n")
    (tmp_path / "ijbc_1N_probe_mixed.csv").write_text(
        head + "2,100,img/2.jpg\n2,100,img/3.jpg\n4,200,img/6.jpg\n"
    )
    return tmp_path


VECTORS = np.array([[1, 0], [1, 0], [0, 1], [0.6, -0.8], [0, -1]])


def test_a_video_counts_as_one_picture(meta):
    lists = read_ijb_verification(meta, "ijbc")
    fused, names = fuse(VECTORS, lists.templates, lists.media)
    assert names.tolist() == [1, 2, 3]
    # frames (1, 0) and (0, 1) have the mean (.5, .5); with the still (.6, -.8): (.55, -.15)
    assert fused[1] == pytest.approx(np.array([0.55, -0.15]) / np.hypot(0.55, 0.15))
    assert np.linalg.norm(fused, axis=1) == pytest.approx(1)


def test_verification_pairs_are_compared(meta):
    lists = read_ijb_verification(meta, "ijbc")
    scores, same = verify(*fuse(VECTORS, lists.templates, lists.media), lists)
    assert same.tolist() == [True, False]
    assert scores == pytest.approx([0.55 / np.hypot(0.55, 0.15), 0.0])


def test_each_gallery_is_searched_by_all_probes(meta):
    lists = read_ijb_identification(meta, "ijbc")
    assert lists.galleries == ({1: 100}, {3: 200})
    assert lists.probes == {2: 100, 4: 200}
    names = np.array([1, 2, 3, 4])
    fused = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
    (mated, strangers, right), (other_mated, other_strangers, _) = identify(fused, names, lists)
    assert (mated.tolist(), strangers.tolist(), right) == ([0.8], [0.6], 1.0)
    assert (other_mated.tolist(), other_strangers.tolist()) == ([0.8], [0.6])


def test_what_is_wrong_with_the_lists_is_said(meta):
    (meta / "ijbc_template_pair_label.txt").write_text("1 9 1\n")
    with pytest.raises(DataError, match="names a template"):
        read_ijb_verification(meta, "ijbc")
    (meta / "ijbc_template_pair_label.txt").write_text("1 2\n")
    with pytest.raises(DataError, match="3 numbers"):
        read_ijb_verification(meta, "ijbc")
    (meta / "ijbc_face_tid_mid.txt").write_text("1.jpg one 2\n")
    with pytest.raises(DataError):
        read_ijb_verification(meta, "ijbc")
    (meta / "ijbc_1N_probe_mixed.csv").write_text("ID,FILENAME\n1,a\n")
    with pytest.raises(DataError, match="SUBJECT_ID"):
        read_ijb_identification(meta, "ijbc")
    (meta / "ijbc_1N_gallery_G2.csv").unlink()
    with pytest.raises(DataError, match="1 galleries"):
        read_ijb_identification(meta, "ijbc")
