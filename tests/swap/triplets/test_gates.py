from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")

from tests.corpus.small_corpus import drawn_sample
from tests.swap.triplets.small_triplets import look
from visagist.corpus.sample import Origin
from visagist.swap.triplets.config import GateConfig
from visagist.swap.triplets.faces import Face
from visagist.swap.triplets.gates import Gates, RejectedError


def face(number=0):
    sample = drawn_sample(number, size=120, zoom=1.25)
    return Face(sample.image, sample.mesh, sample.key, str(number), Origin("drawn", str(number)))


def gates(**limits):
    return Gates(GateConfig(**limits), look)


def test_a_copy_is_refused():
    one = face()
    with pytest.raises(RejectedError, match="near_copy"):
        gates().change(one, one)


def test_a_change_around_the_head_is_refused_where_it_must_stay():
    one = face()
    image = one.image.copy()
    image[40:70, 40:70] ^= 64
    image[15:25] ^= 128  # inside the canonical crop, above the head
    other = one.edited(image, one.mesh, "x")
    with pytest.raises(RejectedError, match="outside_changed"):
        gates(outside_most=1).change(one, other)
    figures = gates(outside_most=1).change(one, other, around=False)
    assert figures["change"] > 1


def test_a_folded_mesh_is_refused():
    one = face()
    mesh = one.mesh.copy()
    assert gates().geometry(one, one) == 0
    mesh[:, 0] = 120 - mesh[:, 0]  # inside out
    with pytest.raises(RejectedError, match="mesh_folded"):
        gates().geometry(one, one.edited(one.image, mesh, "x"))
    with pytest.raises(RejectedError, match="mesh_folded"):
        gates().geometry(one, one.edited(one.image, mesh * np.nan, "x"))


def test_closed_eyes_are_no_source():
    one = face()
    mesh = one.mesh.copy()
    mesh[159, :2] = mesh[145, :2]
    gates(eyes_least=0.01).source(one)
    with pytest.raises(RejectedError, match="eyes_closed"):
        gates(eyes_least=0.01).source(replace(one, mesh=mesh))


def test_identity_gates_use_the_embedder():
    one, other = face(0), face(7)
    cosine = gates().cosine(one, other)
    assert cosine == pytest.approx(
        float(look(one.image, one.mesh) @ look(other.image, other.mesh)), abs=1e-6
    )
    with pytest.raises(RejectedError, match="identity_kept"):
        gates(edited_most=0.99).edited(one, one)
    with pytest.raises(RejectedError, match="face_broken"):
        gates(edited_least=0.9999, edited_most=1).edited(one, other)
    with pytest.raises(RejectedError, match="identity_lost"):
        gates(kept_least=0.9999).kept(one, other)
    with pytest.raises(RejectedError, match="not_one_person"):
        gates(pair_least=0.9999).pair(one, other)
    with pytest.raises(RejectedError, match="identity_kept"):
        gates().replaced(one, one, other)
    with pytest.raises(RejectedError, match="identity_not_given"):
        gates(replaced_most=1, replaced_least=0.9999).replaced(one, one, other)
    assert gates().kept(one, one)["cosine"] == pytest.approx(1, abs=1e-5)
