import json

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")
pytest.importorskip("torch")

import torch

from tests.swap.triplets.small_triplets import SIZE, config, gate, people_corpus
from visagist.corpus.shards import decode_picture, iterate_samples
from visagist.errors import DataError
from visagist.face.align import Alignment, crop
from visagist.recognition.crop import recognition_crop
from visagist.swap.data import TripletAugment, open_triplets
from visagist.swap.triplets.build import build
from visagist.swap.triplets.task import TripletTask
from visagist.swap.triplets.views import identity_view

MIX = {"two_image": 1, "shape_on_target": 1, "wear_on_target": 1, "free": 2, "same": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    corpus = people_corpus(tmp_path_factory.mktemp("faces") / "corpus")
    out = tmp_path_factory.mktemp("made") / "set"
    build(TripletTask([corpus], config(mix=MIX), count=10, split="train", gate=gate()), out)
    return out


def test_batches_are_a_function_of_seed_and_step(folder):
    one, other = open_triplets(folder), open_triplets([folder])
    for step in (0, 7):
        a, b = one.draw(step, 6, 3), other.draw(step, 6, 3)
        for name in ("source", "identity_crop", "target", "truth", "weight"):
            assert torch.equal(getattr(a, name), getattr(b, name))
        assert a.kinds == b.kinds
    assert not torch.equal(one.draw(0, 6, 3).target, one.draw(1, 6, 3).target)
    assert not torch.equal(one.draw(0, 6, 3).target, one.draw(0, 6, 4).target)


def test_shapes_and_types(folder):
    batch = open_triplets(folder).draw(0, 5, 0)
    assert batch.source.shape == batch.target.shape == batch.truth.shape == (5, 3, SIZE, SIZE)
    assert batch.identity_crop.shape == (5, 3, 112, 112)
    assert batch.target.dtype == torch.uint8
    assert batch.weight.shape == (5,)


def test_guides_come_with_the_pictures(folder):
    batch = open_triplets(folder, guide=SIZE // 2).draw(0, 4, 0)
    assert batch.guide.shape == (4, 4, SIZE // 2, SIZE // 2)
    assert batch.guide.dtype == torch.uint8
    assert open_triplets(folder).draw(0, 4, 0).guide is None
    same = open_triplets(folder, mix={"same": 1}, augment=None, guide=SIZE).draw(0, 4, 0)
    share = same.guide[:, 3:]
    assert (share > 250).float().mean() > 0.05
    change = (same.guide[:, :3].int() - same.target.int()).abs().float()
    assert change.mean() < 1  # a face laid on itself
    with pytest.raises(DataError, match="no whole part"):
        open_triplets(folder, guide=SIZE // 2 - 1)


def test_a_mirrored_source_is_laid_on_a_picture_that_is_not(folder):
    flipped = TripletAugment(flip=1, light=0, grey_source=0, grey_target=0)
    plain = open_triplets(folder, mix={"same": 1}, augment=None, guide=SIZE).draw(0, 2, 0)
    both = open_triplets(folder, mix={"same": 1}, augment=flipped, guide=SIZE).draw(0, 2, 0)
    assert torch.equal(both.target, plain.target.flip(3))
    change = (both.guide[:, :3].int() - both.target.int()).abs().float()
    assert change.mean() < 1  # the mesh was mirrored with the picture


def test_pictures_are_those_of_the_shards(folder):
    plain = open_triplets(folder, mix={"shape_on_target": 1}, augment=None)
    batch = plain.draw(0, 1, 0)
    of_kind = [
        members
        for path in sorted(folder.glob("part-*.tar"))
        for _, members in iterate_samples(path)
        if json.loads(members["json"])["kind"] == "shape_on_target"
    ]
    found = [
        members
        for members in of_kind
        if np.array_equal(
            decode_picture(members["target.jpg"]), batch.target[0].permute(1, 2, 0).numpy()
        )
    ]
    assert len(found) == 1
    source = decode_picture(found[0]["source.jpg"])
    np.testing.assert_array_equal(source, batch.source[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(
        identity_view(source), batch.identity_crop[0].permute(1, 2, 0).numpy()
    )
    assert torch.equal(batch.truth, batch.source)


def test_the_view_is_the_recognisers():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    whole = Alignment(np.array([[1.0, 0, 0], [0, 1.0, 0]]), 256)
    np.testing.assert_array_equal(identity_view(image), crop(image, recognition_crop(whole)))


def test_free_triplets_have_two_people_and_no_weight(folder):
    triplets = open_triplets(folder, mix={"free": 1}, augment=None)
    batch = triplets.draw(0, 40, 0)
    assert set(batch.kinds) == {"free"}
    assert not batch.weight.any()
    assert torch.equal(batch.truth, batch.target)
    assert not any(torch.equal(s, t) for s, t in zip(batch.source, batch.target, strict=True))


def test_the_same_picture_is_source_target_and_truth(folder):
    batch = open_triplets(folder, mix={"same": 1}, augment=None).draw(0, 4, 0)
    assert torch.equal(batch.source, batch.target)
    assert torch.equal(batch.truth, batch.target)
    assert (batch.weight == 1).all()


def test_kinds_are_drawn_by_their_shares(folder):
    triplets = open_triplets(folder, augment=None)
    kinds = triplets.draw(0, 600, 0).kinds
    total = sum(MIX[kind] for kind in triplets.mix)
    for kind, share in triplets.mix.items():
        assert share == pytest.approx(MIX[kind] / total)
        assert abs(kinds.count(kind) / 600 - share) < 0.08


def test_target_and_truth_are_disturbed_alike(folder):
    always = TripletAugment(flip=1, light=0, grey_source=0, grey_target=0)
    mix = {"wear_on_target": 1}
    plain = open_triplets(folder, mix=mix, augment=None).draw(0, 1, 0)
    flipped = open_triplets(folder, mix=mix, augment=always).draw(0, 1, 0)
    assert torch.equal(flipped.target, plain.target.flip(3))
    assert torch.equal(flipped.source, plain.source.flip(3))
    assert torch.equal(flipped.identity_crop, plain.identity_crop.flip(3))
    lit = TripletAugment(flip=0, light=1, strength=1, grey_source=0, grey_target=0)
    relit = open_triplets(folder, mix=mix, augment=lit).draw(0, 3, 0)
    assert torch.equal(relit.target, relit.truth)
    assert (relit.target != open_triplets(folder, mix=mix, augment=None).draw(0, 3, 0).target).any()
    grey = TripletAugment(flip=0, light=0, grey_source=1, grey_target=1)
    batch = open_triplets(folder, mix=mix, augment=grey).draw(0, 1, 0)
    assert torch.equal(batch.target[:, 0], batch.target[:, 1])
    assert torch.equal(batch.source[:, 0], batch.source[:, 2])


def test_equal_pictures_are_kept_once(folder):
    cache = next(folder.glob("cache-*"))
    pictures = np.load(cache / "pictures.npy")
    assert len(pictures) < 3 * len(open_triplets(folder))
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures)


class TestFaults:
    def test_no_set(self, tmp_path):
        with pytest.raises(DataError, match="no finished set"):
            open_triplets(tmp_path)

    def test_nothing_of_the_mix(self, folder):
        with pytest.raises(DataError, match="cycle"):
            open_triplets(folder, mix={"cycle": 1})

    def test_a_damaged_cache(self, folder):
        cache = next(folder.glob("cache-*"))
        index = (cache / "index.json").read_bytes()
        (cache / "index.json").write_bytes(b"{}")
        with pytest.raises(DataError, match="delete the folder"):
            open_triplets(folder)
        (cache / "index.json").write_bytes(index)

    def test_a_shard_without_its_labels(self, folder, tmp_path):
        copy = tmp_path / "set"
        copy.mkdir()
        (copy / "triplets.json").write_bytes((folder / "triplets.json").read_bytes())
        (copy / "part-00000.tar").write_bytes(b"not a tar file" * 100)
        with pytest.raises(DataError, match="part-00000"):
            open_triplets(copy)
        assert not list(copy.glob("cache-*"))


@pytest.mark.parametrize("gone", ["parts", "mix", "triplets"])
def test_a_summary_that_lacks_something_is_named(tmp_path, gone):
    summary = {"parts": 0, "mix": {"same": 1}, "triplets": 0}
    del summary[gone]
    (tmp_path / "triplets.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match=gone):
        open_triplets(tmp_path)
