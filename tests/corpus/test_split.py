from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.corpus.sample import SPLITS
from visagist.corpus.split import Links, assign_splits, split_of
from visagist.errors import DataError

SHARES = {"validation": 0.1, "test": 0.2, "salt": "s"}


def test_the_split_depends_on_the_name_alone():
    # Fixed values: a corpus that is built again in years must deal its people the same way.
    people = ["a/1", "a/2", "Jürgen", ""]
    assert [split_of(p, **SHARES) for p in people] == [split_of(p, **SHARES) for p in people]
    assert split_of("a/1", validation=0.0, test=1.0, salt="") == "test"
    assert split_of("a/1", validation=1.0, test=0.0, salt="") == "validation"
    assert split_of("a/1", validation=0.0, test=0.0, salt="") == "train"


def test_shares_are_kept_and_the_salt_deals_anew():
    dealt = [split_of(f"person {n}", **SHARES) for n in range(4000)]
    assert dealt.count("test") == pytest.approx(800, abs=100)
    assert dealt.count("validation") == pytest.approx(400, abs=80)
    again = [split_of(f"person {n}", **(SHARES | {"salt": "t"})) for n in range(4000)]
    assert sum(a != b for a, b in zip(dealt, again, strict=True)) > 1000


def test_more_test_people_take_nobody_out_of_the_test():
    few = {n for n in range(500) if split_of(str(n), **SHARES) == "test"}
    many = {n for n in range(500) if split_of(str(n), validation=0.1, test=0.4, salt="s") == "test"}
    assert few < many


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_links_find_the_smallest_of_what_is_joined(pairs):
    links, groups = Links(10), [{n} for n in range(10)]
    for one, other in pairs:
        links.join(one, other)
        whole = groups[one] | groups[other]
        for n in whole:
            groups[n] = whole
    assert [links.find(n) for n in range(10)] == [min(groups[n]) for n in range(10)]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", *SPLITS])),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))),
)
def test_given_splits_stand_and_the_linked_follow_them(given_splits, linked):
    given = {name: {split} if split else set() for name, split in given_splits.items()}
    found = assign_splits(given, linked, **SHARES)
    assert found.keys() == given.keys()
    for name, split in given_splits.items():
        assert not split or found[name] == split
    for one, other in linked:
        free = [n for n in (one, other) if n in found and not given_splits[n]]
        if len(free) == 2:
            assert found[one] == found[other]


def test_the_hardest_given_split_takes_the_linked():
    given = {"a": {"train"}, "b": {"test"}, "c": set()}
    found = assign_splits(given, [("a", "c"), ("c", "b")], **SHARES)
    assert found == {"a": "train", "b": "test", "c": "test"}


def test_a_blend_follows_its_parents_who_are_not_there():
    given = {"blend 1": set(), "blend 2": set()}
    found = assign_splits(given, [("blend 1", "p"), ("p", "blend 2")], **SHARES)
    assert found["blend 1"] == found["blend 2"]


def test_two_given_splits_and_unknown_ones_are_refused():
    with pytest.raises(DataError, match="identity x is in two splits, test and train"):
        assign_splits({"x": {"train", "test"}}, [], **SHARES)
    with pytest.raises(DataError, match="identity x has the split 'dev'"):
        assign_splits({"x": {"dev"}}, [], **SHARES)
