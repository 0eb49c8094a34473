from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from visagist.errors import DataError, InputError
from visagist.recognition.evaluation.lists import Entry, EvaluationList, check_list, read_list


@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_lists_of_the_package_are_sound(split):
    found = read_list(split)
    check_list(found)
    for sets in found.unions().values():
        people = list(dict.fromkeys(e.identity for e in found.pictures("enrolled", sets)))
        enrolled = np.array([found.halves[i] for i in people]).sum(0)
        # half of every set, so that a half-split of both sets is one of each too
        assert (np.abs(enrolled - len(people) / 2) <= 0.5 * len(sets)).all()
    assert {len(h) for h in found.halves.values()} == {200}
    assert len(np.unique(np.array(list(found.halves.values())), axis=1).T) == 200


def test_the_test_list_compares_what_the_published_table_compares():
    found = read_list("test")
    assert list(found.unions()) == ["london", "pairs", "both"]
    for named, people in (("london", 102), ("pairs", 60)):
        enrolled = found.pictures("enrolled", [named])
        mates = found.pictures("mate", [named])
        assert len(enrolled) == len(mates) == people
        assert [e.identity for e in enrolled] == [e.identity for e in mates]
    assert all("_neutral" in e.file for e in found.pictures("enrolled", ["london"]))
    assert all("_smiling" in e.file for e in found.pictures("mate", ["london"]))
    assert all(e.file.startswith("portraits_grey/") for e in found.pictures("mate", ["pairs"]))


def test_nobody_is_in_both_lists():
    people = [{e.identity for e in read_list(s).entries} for s in ("test", "validation")]
    assert not people[0] & people[1]
    assert not any("london" in e.file for e in read_list("validation").entries)
    for split in ("test", "validation"):
        assert not any("generated_minors" in e.file for e in read_list(split).entries)


def test_validation_pairs_say_which_people_may_have_been_trained_on():
    unions = read_list("validation").unions()
    assert unions["pairs"] == ("pairs", "pairs_train")
    assert unions["pairs_unseen"] == ("pairs",)
    assert "pairs_train" not in unions


SOUND = EvaluationList(
    (
        Entry("s", "a", "enrolled", "f/1"),
        Entry("s", "a", "mate", "f/2"),
        Entry("t", "b", "stranger", "f/3"),
    ),
    {"a": np.array([True, False])},
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Entry("s", "a", "mate", "f/1"), "twice"),
        (Entry("s", "c", "mate", "f/4"), "not enrolled"),
        (Entry("s", "a", "stranger", "f/4"), "stranger is listed who is enrolled"),
        (Entry("u", "b", "stranger", "f/4"), "two sets"),
        (Entry("s", "a", "probe", "f/4"), "none of"),
        (Entry("s", "c", "enrolled", "f/4"), "half-splits"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(change, message):
    check_list(SOUND)
    with pytest.raises(DataError, match=message):
        check_list(replace(SOUND, entries=(*SOUND.entries, change)))


def test_own_lists_are_read_and_what_is_wrong_with_them_is_said(tmp_path):
    (tmp_path / "mine.csv").write_text("set,identity,role,file\ns,a,enrolled,f/1\ns,a,mate,f/2\n")
    (tmp_path / "mine_halves.csv").write_text("identity,halves\na,10\n")
    found = read_list("mine", tmp_path)
    assert found.unions() == {"s": ("s",), "both": ("s",)}
    assert found.halves["a"].tolist() == [True, False]
    (tmp_path / "mine.csv").write_text("set,person,role,file\ns,a,enrolled,f/1\n")
    with pytest.raises(DataError, match="columns"):
        read_list("mine", tmp_path)
    with pytest.raises(DataError, match="no list"):
        read_list("other", tmp_path)
    with pytest.raises(InputError, match="test and validation"):
        read_list("train")
