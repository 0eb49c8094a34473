"""What is particular to the published sets: their lists, label maps and licences."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from tests.corpus.sources.trees import TREES, put, put_all, put_mask
from visagist.corpus.sources import SourceConfig, open_source
from visagist.corpus.sources.celeba import split_of
from visagist.corpus.task import SkippedItemError
from visagist.errors import DataError
from visagist.face.parts import Part


def items_of(path):
    return {item.name: item for item in open_source(path).items()}


def problems(path):
    return {name: i.problem for name, i in items_of(path).items() if i.problem}


# FFHQ


def test_ffhq_knows_the_licence_and_author_of_each_picture(tmp_path):
    items = list(items_of(TREES["ffhq"](tmp_path).path).values())
    assert [i.origin.licence for i in items] == [
        "CC-BY-2.0",
        "Public Domain Mark 1.0",
        "A licence of tomorrow",
    ]
    assert items[1].facts == {"author": "author 1", "photo_url": "u"}
    assert all("recognition" not in i.origin.uses for i in items)


def test_ffhq_thumbnails_on_demand(tmp_path):
    TREES["ffhq"](tmp_path)
    config = SourceConfig(path=str(tmp_path), folders=("thumbnails128x128",))
    (item,) = open_source(config).items()
    assert item.name == "thumbnails128x128/00000/00000.png"
    assert item.origin.licence == "CC-BY-2.0"


def test_ffhq_without_its_metadata_says_what_goes_missing(tmp_path):
    TREES["ffhq"](tmp_path)
    (tmp_path / "ffhq-dataset-v2.json").unlink()
    assert list(problems(tmp_path).values()) == [
        ("metadata", "ffhq-dataset-v2.json is missing: licence, author and part are not known")
    ]
    licences = {i.origin.licence for i in items_of(tmp_path).values()}
    assert licences == {"CC BY-NC-SA 4.0 (the set); each picture has its own"}


@pytest.mark.parametrize(
    "text", ["{", "[]", json.dumps({"0": {"category": "training"}}), json.dumps({"x": 1})]
)
def test_ffhq_with_broken_metadata_is_refused(tmp_path, text):
    TREES["ffhq"](tmp_path)
    (tmp_path / "ffhq-dataset-v2.json").write_text(text)
    with pytest.raises(DataError, match=r"is not the set's metadata.*licences are not known"):
        items_of(tmp_path)


def test_ffhq_with_nothing_but_its_metadata(tmp_path):
    (tmp_path / "ffhq-dataset-v2.json").write_text("{}")
    with pytest.raises(DataError, match="no folder images1024x1024"):
        items_of(tmp_path)


# CelebA and CelebA-HQ


@pytest.mark.parametrize("layout", ["celeba", "celeba-hq"])
def test_without_identities_celeba_is_refused(tmp_path, layout):
    TREES[layout](tmp_path)
    (tmp_path / "identity_CelebA.txt").unlink()
    with pytest.raises(DataError, match=r"identity_CelebA.txt is missing.*several splits.*folder:"):
        items_of(tmp_path)


def test_the_published_parts_are_ranges_of_numbers(tmp_path):
    TREES["celeba"](tmp_path)
    listed = {i.name: i.origin.split for i in items_of(tmp_path).values()}
    (tmp_path / "list_eval_partition.txt").unlink()
    assert {i.name: i.origin.split for i in items_of(tmp_path).values()} == listed
    ends = ["162770.jpg", "162771.jpg", "182637.jpg", "182638.jpg"]
    assert [split_of(e, {}) for e in ends] == ["train", "validation", "validation", "test"]


def test_celeba_as_its_archive_unpacks(tmp_path):
    TREES["celeba"](tmp_path / "flat")
    flat = tmp_path / "flat"
    for name, place in (
        ("img_align_celeba", "Img"),
        ("identity_CelebA.txt", "Anno"),
        ("list_eval_partition.txt", "Eval"),
    ):
        (tmp_path / "celeba" / place).mkdir(parents=True)
        (flat / name).rename(tmp_path / "celeba" / place / name)
    items = items_of(tmp_path / "celeba")
    item = items["Img/img_align_celeba/182637.jpg"]
    assert (item.origin.identity, item.origin.split) == ("celeba/8692", "validation")


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("identity_CelebA.txt", "000009.jpg", "identity_CelebA.txt, line 5: 1 words instead of 2"),
        ("list_eval_partition.txt", "000009.jpg 3", "line 5: part '3' is not 0, 1, 2"),
    ],
)
def test_a_broken_line_of_a_list_is_named(tmp_path, name, line, message):
    TREES["celeba"](tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=message):
        items_of(tmp_path)


def test_a_picture_that_no_list_names_costs_a_line(tmp_path):
    TREES["celeba"](tmp_path)
    put(tmp_path / "img_align_celeba" / "000003.jpg")
    assert problems(tmp_path) == {
        "img_align_celeba/000003.jpg": (
            "no_identity",
            "img_align_celeba/000003.jpg is not in identity_CelebA.txt",
        )
    }


def test_celeba_and_celeba_hq_share_people_and_parts(tmp_path):
    TREES["celeba"](tmp_path / "a")
    TREES["celeba-hq"](tmp_path / "b")
    first = items_of(tmp_path / "a")["img_align_celeba/000001.jpg"].origin
    second = items_of(tmp_path / "b")["CelebA-HQ-img/0.jpg"].origin
    assert first.identity == second.identity == "celeba/2880"
    assert first.split == second.split == "train"


def test_label_maps_of_celeba_hq_are_painted_in_order(tmp_path):
    TREES["celeba-hq"](tmp_path)
    items = items_of(tmp_path)
    parts = items["CelebA-HQ-img/2000.jpg"].labels().parts
    rows = [Part.BACKGROUND, Part.SKIN, Part.GLASSES, Part.EYES, *[Part.SKIN] * 3, Part.BACKGROUND]
    assert parts[:, 0].tolist() == rows
    assert (parts == parts[:, :1]).all()
    assert items["CelebA-HQ-img/0.jpg"].labels() is None


def test_label_maps_that_differ_in_size(tmp_path):
    TREES["celeba-hq"](tmp_path)
    mask = tmp_path / "CelebAMask-HQ-mask-anno" / "1" / "02000_nose.png"
    put_mask(mask, np.zeros((4, 4)))
    with pytest.raises(SkippedItemError, match=r"02000_nose.png differs in size"):
        items_of(tmp_path)["CelebA-HQ-img/2000.jpg"].labels()
    mask.write_bytes(b"no picture")
    with pytest.raises(SkippedItemError, match=r"02000_nose.png cannot be read"):
        items_of(tmp_path)["CelebA-HQ-img/2000.jpg"].labels()


def test_celeba_hq_without_masks_or_mapping(tmp_path):
    TREES["celeba-hq"](tmp_path)
    (tmp_path / "CelebAMask-HQ-mask-anno").rename(tmp_path / "masks")
    assert list(problems(tmp_path)) == ["CelebAMask-HQ-mask-anno"]
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    with pytest.raises(DataError, match=r"mapping.txt is missing: without it, nobody is known"):
        items_of(tmp_path)


# Makeup Transfer


def test_mt_says_who_wears_makeup_and_maps_its_labels(tmp_path):
    TREES["mt"](tmp_path)
    items = items_of(tmp_path)
    worn = items["all/images/makeup/vFG1.png"]
    bare = items["all/images/non-makeup/vSYYZ1.png"]
    assert (worn.facts, bare.facts) == ({"makeup": True}, {"makeup": False})
    assert bare.labels() is None
    P = Part
    assert worn.labels().parts.ravel().tolist() == [
        *(P.BACKGROUND, P.EYES, P.BROWS, P.SKIN, P.SKIN, P.SKIN, P.EYES, P.BROWS),
        *(P.SKIN, P.LIPS, P.SKIN, P.MOUTH, P.HAIR, P.LIPS, P.BACKGROUND, P.BACKGROUND),
    ]


def test_mt_from_inside_and_without_label_maps(tmp_path):
    TREES["mt"](tmp_path)
    inside = items_of(tmp_path / "all")
    assert "images/makeup/vFG1.png" in inside
    assert inside["images/makeup/vFG1.png"].labels() is not None
    (tmp_path / "all" / "segs").rename(tmp_path / "other")
    assert list(problems(tmp_path)) == ["segs"]


# People in folders


def test_a_picture_outside_of_every_persons_folder_costs_a_line(tmp_path):
    TREES["identities"](tmp_path)
    put_all(tmp_path, ["stray.jpg", "train/stray.jpg"])
    assert set(problems(tmp_path)) == {"stray.jpg", "train/stray.jpg"}
    assert {p[0] for p in problems(tmp_path).values()} == {"no_identity"}


def test_people_may_have_folders_of_their_own(tmp_path):
    put_all(tmp_path, ["ann/a/1.jpg", "ann/b/1.jpg", "bo/1.jpg"])
    people = [i.origin.identity for i in open_source(f"identities:{tmp_path}").items()]
    assert [p.partition("/")[2] for p in people] == ["ann", "ann", "bo"]


def test_lfw_without_its_pairs_says_so(tmp_path):
    TREES["lfw"](tmp_path)
    (tmp_path / "pairs.txt").unlink()
    assert problems(tmp_path)["pairs.txt"][0] == "metadata"
    assert {i.origin.split for i in items_of(tmp_path).values()} == {""}


def test_lfw_names_what_does_not_fit(tmp_path):
    TREES["lfw"](tmp_path)
    put_all(tmp_path / "lfw", ["Ann_Lee/Bo_Im_0002.jpg", "Ann_Lee/portrait.jpg"])
    assert set(problems(tmp_path)) == {"lfw/Ann_Lee/Bo_Im_0002.jpg", "lfw/Ann_Lee/portrait.jpg"}
    path = tmp_path / "pairs.txt"
    path.write_text(path.read_text() + "Ann_Lee 1\n")
    with pytest.raises(DataError, match="line 4: not a pair"):
        items_of(tmp_path)


def test_imagenet_validation_without_class_folders(tmp_path):
    put_all(tmp_path, ["val/ILSVRC2012_val_00000001.JPEG", "train/n01440764/n01440764_1.JPEG"])
    items = items_of(tmp_path)
    flat = items["val/ILSVRC2012_val_00000001.JPEG"]
    assert (flat.origin.split, flat.facts) == ("validation", {})
    assert items["train/n01440764/n01440764_1.JPEG"].facts == {"class": "n01440764"}


# Labelled trees


def test_labels_come_with_a_labelled_tree(tmp_path):
    TREES["labelled"](tmp_path)
    labels = items_of(tmp_path)["portraits/b.png"].labels()
    assert labels.mesh.shape == (478, 3)
    assert labels.points5.shape == (5, 2)
    x0, y0, x1, y1 = labels.box
    assert x0 <= labels.mesh[:468, 0].min() + 1 <= x1
    assert y0 <= labels.mesh[:468, 1].min() + 1 <= y1


def test_labels_written_again_are_read_again(tmp_path):
    TREES["labelled"](tmp_path)
    item = items_of(tmp_path)["portraits/b.png"]
    before = item.labels().mesh
    path = tmp_path / "labels" / "portraits.npz"
    with np.load(path) as data:
        labels = dict(data)
    labels["mesh16"] = labels["mesh16"] + 16
    np.savez(path, **labels)
    os.utime(path, (1, 1))  # two writes may fall into one tick of the clock
    assert np.allclose(item.labels().mesh, before + 1)
    labels["mesh_ok"][:] = [False, True]
    np.savez(path, **labels)
    os.utime(path, (2, 2))
    assert items_of(tmp_path)["portraits/b.png"].labels() is None
    path.write_bytes(b"no archive")
    with pytest.raises(SkippedItemError, match=r"labels: .*cannot read the labels"):
        item.labels()


def test_a_tree_whose_table_names_a_folder_without_labels(tmp_path):
    TREES["labelled"](tmp_path)
    (tmp_path / "labels" / "generated.npz").unlink()
    with pytest.raises(DataError, match=r"generated.npz: cannot read the labels"):
        items_of(tmp_path)
