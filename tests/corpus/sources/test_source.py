from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.sources.trees import picture, put
from visagist.corpus.sample import Origin
from visagist.corpus.sources import SourceItem, open_source
from visagist.corpus.sources.source import posix, printable
from visagist.corpus.task import SkippedItemError
from visagist.photo import Limits


def raw(text: bytes) -> str:
    """As the system hands over a file name that is not UTF-8."""
    return text.decode("utf-8", "surrogateescape")


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_different_paths_never_become_the_same_text(a, b):
    assert (printable(raw(a)) == printable(raw(b))) == (a == b)
    printable(raw(a)).encode("utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("день/ü.jpg", "день/ü.jpg"),
        (raw(b"a\xff.jpg"), "a%FF.jpg"),
        ("a%FF.jpg", "a%25FF.jpg"),
        ("100% me.jpg", "100% me.jpg"),
    ],
)
def test_usual_names_stay_as_they_are(name, text):
    assert posix(name) == text


def test_a_file_that_went_away_or_is_too_large(tmp_path):
    put(tmp_path / "a.jpg")
    (item,) = open_source(tmp_path).items()
    assert item.read() == picture(0)
    with pytest.raises(SkippedItemError, match=r"unreadable.*larger than the limit"):
        item.read(Limits(max_bytes=100))
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(SkippedItemError, match=r"unreadable.*does not exist") as caught:
        item.read()
    assert caught.value.reason == "unreadable"


def test_bytes_inside_of_a_file(tmp_path):
    (tmp_path / "all").write_bytes(b"0123456789")
    item = SourceItem(Origin("s", "x"), str(tmp_path), "all", offset=3, length=4)
    assert item.read() == b"3456"
    with pytest.raises(SkippedItemError, match="the limit is 3"):
        item.read(Limits(max_bytes=3))
    far = SourceItem(Origin("s", "x"), str(tmp_path), "all", offset=8, length=4)
    with pytest.raises(SkippedItemError, match="ends inside x"):
        far.read()


def test_a_problem_is_raised_on_reading(tmp_path):
    item = SourceItem(Origin("s", "x"), str(tmp_path), "x").left_out("excluded", "by the recipe")
    with pytest.raises(SkippedItemError) as caught:
        item.read()
    assert (caught.value.reason, caught.value.detail) == ("excluded", "by the recipe")
