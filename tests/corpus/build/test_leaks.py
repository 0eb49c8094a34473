"""No person and no picture in two splits: copies are planted under other names and looked for."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from tests.corpus.build.people import CHANGES, PeopleTask, Shot
from visagist.corpus.build import BuildConfig, DuplicateConfig, SplitConfig, build
from visagist.errors import DataError

CONFIG = BuildConfig(chunk=8, splits=SplitConfig(validation=0.25, test=0.25))
PEOPLE = 12
COPIES = [change for change in CHANGES if change]


def planted() -> list[Shot]:
    """People with two pictures each, and copies of first pictures under other identities."""
    shots = [
        Shot(f"{n:02d}-{k}.jpg", 10 * n + k, identity=f"person {n}")
        for n in range(PEOPLE)
        for k in range(2)
    ]
    copies = [
        Shot(f"copy-{k}.jpg", 10 * k, change, identity=f"stranger {k}")
        for k, change in enumerate(COPIES)
    ]
    return shots + copies


def leaks(corpus) -> list[str]:
    """What is in two splits: people by their names, pictures by pixels, mirrored or not.

    Nothing of the build's own search is used, so that its faults are seen.
    """
    found = []
    faces = []
    for record in corpus.records:
        grey = cv2.cvtColor(corpus.load(record).image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        faces.append((record, cv2.GaussianBlur(grey, (0, 0), 2)))
    for (one, a), (other, b) in combinations(faces, 2):
        if one.split == other.split:
            continue
        if one.origin.identity == other.origin.identity:
            found.append(f"{one.origin.identity} is in {one.split} and {other.split}")
        likeness = max(np.corrcoef(a.ravel(), view.ravel())[0, 1] for view in (b, b[:, ::-1]))
        if likeness > 0.9:
            found.append(f"{one.origin.item} looks like {other.origin.item} ({likeness:.2f})")
    return found


def test_no_person_and_no_copy_is_in_two_splits(tmp_path):
    corpus = build(PeopleTask(planted()), tmp_path, CONFIG).corpus
    assert {r.split for r in corpus.records} == {"train", "validation", "test"}
    assert leaks(corpus) == []
    assert corpus.summary["counts"]["dropped"] == {"near_duplicate": len(COPIES)}
    assert corpus.summary["near_duplicates"]["across_identities"] == len(COPIES)


def test_the_search_for_leaks_finds_them(tmp_path):
    """Without duplicate removal the same corpus leaks: the test above can fail."""
    config = CONFIG.model_copy(update={"duplicates": DuplicateConfig(kinds=())})
    found = leaks(build(PeopleTask(planted()), tmp_path, config).corpus)
    assert len([text for text in found if "looks like" in text]) >= 2


@pytest.mark.parametrize("change", COPIES)
def test_every_kind_of_copy_is_found_and_nothing_else(tmp_path, change):
    shots = [Shot(f"{n}.jpg", n, identity=f"p{n}") for n in range(8)]
    shots.append(Shot("copy.jpg", 3, change, identity="q"))
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert corpus.summary["counts"]["dropped"] == {"near_duplicate": 1}
    lost = {"3.jpg", "copy.jpg"} - {r.origin.item for r in corpus.records}
    assert len(lost) == 1


def test_the_copy_in_the_harder_split_is_kept(tmp_path):
    shots = [
        Shot("a.jpg", 1, identity="p", split="train"),
        Shot("b.jpg", 1, "halved", identity="q", split="test"),
        Shot("c.jpg", 1, "encoded", identity="r", split="validation"),
    ]
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert [(r.origin.item, r.split) for r in corpus.records] == [("b.jpg", "test")]


def test_of_equal_ones_the_sharper_is_kept(tmp_path):
    shots = [Shot("a.jpg", 1, "halved"), Shot("b.jpg", 1)]
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert [r.origin.item for r in corpus.records] == ["b.jpg"]


def test_people_who_share_a_picture_share_a_split(tmp_path):
    """Each of them also has a picture of their own, which would give the person away."""
    shots = [Shot("shared-0.jpg", 0, identity="p0")]
    for n in range(1, 6):
        shots.append(Shot(f"shared-{n}.jpg", 0, "encoded", identity=f"p{n}"))
        shots.append(Shot(f"own-{n}.jpg", n, identity=f"p{n}"))
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert len(corpus.records) == 6
    assert len({r.split for r in corpus.records}) == 1


def test_given_splits_win_over_the_hash(tmp_path):
    shots = [
        Shot(f"{n}.jpg", n, identity=f"p{n // 2}", split=("test", "", "train", "")[n % 4])
        for n in range(8)
    ]
    records = build(PeopleTask(shots), tmp_path, CONFIG).corpus.records
    assert {r.origin.identity: r.split for r in records} == {
        "p0": "test",
        "p1": "train",
        "p2": "test",
        "p3": "train",
    }


def test_an_identity_with_two_given_splits_is_named(tmp_path):
    shots = [
        Shot("a.jpg", 1, identity="p", split="train"),
        Shot("b.jpg", 2, identity="p", split="test"),
    ]
    with pytest.raises(DataError, match=r"identity p is in two splits, test and train"):
        build(PeopleTask(shots), tmp_path, CONFIG)


def test_renders_are_not_compared(tmp_path):
    shots = [Shot("a.png", 1, kind="head"), Shot("b.png", 1, kind="head")]
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert len(corpus.records) == 2
