from __future__ import annotations

import pytest

from tests.corpus.small_corpus import drawn_sample, write_corpus
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.errors import DataError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    faces = [
        (drawn_sample(0), "validation"),
        (drawn_sample(1), "train"),
        (drawn_sample(2, uses=("mesh",)), "train"),
        (drawn_sample(3, source="other", kind="generated", generator="G"), "train"),
        (drawn_sample(4), "test"),
        (drawn_sample(5, zoom=1.5), "train"),
    ]
    return Corpus.open(write_corpus(tmp_path_factory.mktemp("select") / "corpus", faces))


def items(corpus: Corpus, splits=("train", "validation"), **config: object) -> list[str]:
    settings = {"use": "mesh", "size": 64, "zoom": 1.5} | config
    return [r.origin.item for r in select_faces(corpus, FeedConfig(**settings), splits)]


def test_a_recipe_gets_what_it_asks_for_and_never_the_test_people(corpus):
    assert set(items(corpus)) == {"0.png", "1.png", "2.png", "3.png", "5.png"}
    assert items(corpus)[-1] == "0.png"  # by split, then by key
    assert "2.png" not in items(corpus, use="makeup")
    assert items(corpus, sources=("other",), splits=("train",)) == ["3.png"]
    assert "3.png" not in items(corpus, without_sources=("other",))
    assert "3.png" not in items(corpus, without_generators=("G",))
    assert items(corpus, kinds=("generated",), splits=("train",)) == ["3.png"]
    assert items(corpus, splits=("test",)) == ["4.png"]


def test_what_cannot_be_given(corpus):
    with pytest.raises(DataError, match="no source elsewhere; it holds drawn, other"):
        items(corpus, sources=("elsewhere",))
    with pytest.raises(DataError, match="no face for train and validation fits"):
        items(corpus, min_confidence=1.0)
    with pytest.raises(DataError, match="no face for train and validation fits"):
        items(corpus, min_face_width=900)
    with pytest.raises(DataError, match="no face for validation fits"):
        items(corpus, kinds=("generated",))
    with pytest.raises(DataError, match=r"show 1.5 .* needs 1.9"):
        items(corpus, zoom=1.9)


def test_crops_are_not_enlarged_unless_that_is_allowed(corpus):
    with pytest.raises(DataError, match=r"enlarged 1.50 times.*--size 192"):
        items(corpus, size=96, zoom=1.0)
    assert items(corpus, size=96, zoom=1.0, enlarge=1.5)


def test_pictures_without_colour(tmp_path):
    from dataclasses import replace

    sample = drawn_sample(1)
    grey = replace(sample, quality=replace(sample.quality, skin_a=0.3, skin_b=-0.4))
    faces = [(drawn_sample(0), "train"), (grey, "train")]
    corpus = Corpus.open(write_corpus(tmp_path / "corpus", faces))
    assert set(items(corpus, splits=("train",))) == {"0.png", "1.png"}
    assert items(corpus, splits=("train",), grey=False) == ["0.png"]
