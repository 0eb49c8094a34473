from __future__ import annotations

import json

import pytest

from tests.corpus.small_corpus import DETAIL, drawn_corpus, drawn_sample, write_corpus
from visagist.corpus.corpus import REPORT, Corpus
from visagist.corpus.stats import QUALITY, corpus_stats, dropped
from visagist.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five pictures of four people from two sources; one person is in two pictures."""
    faces = [
        (drawn_sample(0, identity="a", licence="CC0", parts=True), "train"),
        (drawn_sample(1, identity="a", may_show=False), "train"),
        (drawn_sample(2, identity=""), "train"),
        (drawn_sample(3, source="other", uses=("mesh",), generator="G"), "validation"),
        (drawn_sample(4, source="other"), "test"),
    ]
    lines = [DETAIL, DETAIL | {"reason": "unreadable", "source": "b"}, DETAIL]
    return write_corpus(tmp_path_factory.mktemp("stats") / "corpus", faces, dropped=lines)


def test_counts(folder):
    told = corpus_stats(Corpus.open(folder))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["images"], told["identities"]) == (5, 4)
    assert told["splits"] == {
        "train": {"images": 3, "identities": 2},
        "validation": {"images": 1, "identities": 1},
        "test": {"images": 1, "identities": 1},
    }
    assert told["dropped"] == {"no_face": 2, "unreadable": 1}
    assert told["dropped_by_source"] == {"a": {"no_face": 2}, "b": {"unreadable": 1}}
    assert told["sources"]["other"] == {"images": 2, "identities": 2}
    assert (told["uses"]["mesh"], told["uses"]["makeup"]) == (5, 4)
    assert (told["may_show"], told["generators"]) == (4, {"G": 1})
    assert told["crops"]["sizes"] == {"128": 5}
    assert told["crops"]["picture_bytes"] > 1000


def test_labels(folder):
    labels = corpus_stats(Corpus.open(folder))["labels"]
    assert labels["mesh"] == {"given": 5}
    assert (labels["identity"], labels["licence"]) == (4, 1)
    assert (labels["parts"], labels["depth"], labels["expression"]) == (1, 0, 2)


def test_figures(folder):
    told = corpus_stats(Corpus.open(folder))
    for name in QUALITY:
        spread = told["quality"][name]
        counts, edges = spread["histogram"]["counts"], spread["histogram"]["edges"]
        assert sum(counts) == 5
        assert len(edges) == len(counts) + 1
        assert spread["min"] <= spread["percentiles"]["p50"] <= spread["max"]
        assert set(told["per_source"]["drawn"][name]) == {"p5", "p50", "p95"}
    # skins in turn: deep, light, medium
    assert told["skin_tones"] == {"dark": 2, "very light": 2, "intermediate": 1}


def test_grey_skin_has_no_tone(tmp_path):
    from dataclasses import replace

    sample = drawn_sample(1)
    grey = replace(sample, quality=replace(sample.quality, skin_a=0.1, skin_b=-0.2, tone=90.0))
    told = corpus_stats(Corpus.open(write_corpus(tmp_path / "c", [(grey, "train")])))
    assert told["skin_tones"] == {"without colour": 1}


def test_a_report_that_cannot_be_read(tmp_path):
    folder = drawn_corpus(tmp_path / "corpus", train=1, validation=0, test=0)
    (folder / REPORT).write_text("not json\n")
    with pytest.raises(DataError, match="report"):
        dropped(Corpus.open(folder))
    with pytest.raises(DataError, match="no finished corpus"):
        Corpus.open(tmp_path / "nowhere")
