from __future__ import annotations

import numpy as np
import pytest

from tests.face.parser.small_parser import FIELD, heads, recipe, tree
from visagist.errors import DataError
from visagist.face.parser.classes import CLASSES, HAIR, IGNORE, OCCLUDER, SKIN
from visagist.face.parser.config import ParserDataConfig
from visagist.face.parser.pack import UNDERNEATH, ParserSet, head_set, photo_set

CONFIG = ParserDataConfig.model_validate(recipe()["data"])


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    return tree(folder), heads(folder), folder / "sets"


@pytest.fixture(scope="module")
def photos(places) -> ParserSet:
    return photo_set(places[0], CONFIG, places[2])


def test_every_photo_is_followed_by_its_covered_copies(photos):
    assert [e.kind for e in photos.entries] == ["photo", "covered"] * 9
    assert [e.photo for e in photos.entries] == [i // 2 * 2 for i in range(18)]
    assert len(photos.where("train")) == 12
    assert photos.where("test").size == 0


def test_nobody_is_in_two_splits(photos):
    names = {s: {photos.entries[i].name for i in photos.where(s)} for s in ("train", "validation")}
    assert not names["train"] & names["validation"]


def test_a_copy_differs_from_its_photo_only_where_it_is_labelled(photos):
    copies = [i for i, e in enumerate(photos.entries) if e.kind == "covered"]
    assert {UNDERNEATH} < set(np.unique(photos.labels[copies])) <= {
        UNDERNEATH, IGNORE, HAIR, OCCLUDER
    }  # fmt: skip
    for i in copies:
        on_top = photos.labels[i] == OCCLUDER
        if on_top.sum() < 50:
            continue
        change = np.abs(photos.images[i].astype(int) - photos.images[photos.entries[i].photo])
        assert change[on_top].mean() > 4 * change[photos.labels[i] == UNDERNEATH].mean()


def test_a_set_is_built_once(places, photos):
    seen: list[int] = []
    again = photo_set(places[0], CONFIG, places[2], progress=lambda done, total: seen.append(done))
    assert seen == []
    np.testing.assert_array_equal(again.labels, photos.labels)
    other = CONFIG.model_copy(update={"seed": 1})
    photo_set(places[0], other, places[2], progress=lambda done, total: seen.append(done))
    assert len(seen) == 18


def test_heads_keep_their_exact_labels(places):
    found = head_set(places[1], CONFIG, places[2])
    assert {e.kind for e in found.entries} == {"head"}
    assert [e.photo for e in found.entries] == list(range(6))  # the test people stay out
    assert SKIN in found.labels
    assert found.labels[found.labels != IGNORE].max() < len(CLASSES)
    assert found.images.shape == (6, CONFIG.size, CONFIG.size, 3)


def test_a_narrow_render_is_framed_by_unknown_pixels(places):
    wide = CONFIG.model_copy(update={"field": FIELD * 1.5})
    found = head_set(places[1], wide, places[2])
    assert (found.labels[:, :10] == IGNORE).all()
    middle = slice(CONFIG.size // 2 - 10, CONFIG.size // 2 + 10)
    assert (found.labels[:, middle, middle] != IGNORE).any()


def test_a_corpus_without_label_maps_is_refused(places, tmp_path):
    from tests.corpus.small_corpus import drawn_corpus

    with pytest.raises(DataError, match="label map"):
        head_set(drawn_corpus(tmp_path / "plain"), CONFIG, places[2])


def test_a_damaged_set_is_named(photos, places, tmp_path):
    folder = next(places[2].glob("photos-*"))
    copy = tmp_path / folder.name
    copy.mkdir()
    for name in ("images.npy", "labels.npy", "index.json"):
        (copy / name).write_bytes((folder / name).read_bytes()[:300])
    with pytest.raises(DataError, match=folder.name):
        ParserSet.open(copy)
