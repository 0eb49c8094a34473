from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.sources.trees import put_all
from visagist.corpus.sources import SourceConfig, open_source
from visagist.errors import DataError

NAMES = [f"{n}.jpg" for n in range(8)]


def write(root: Path, rows: list[list[str]]) -> Path:
    put_all(root, NAMES)
    with (root / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return root


def listed(root: Path):
    items = list(open_source(root).items())
    good = {i.name: i for i in items if i.problem is None}
    return good, [i.problem[1] for i in items if i.problem]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1]),
        min_size=1,
        max_size=10,
    )
)
def test_pictures_are_one_person_where_rows_join_them(rows):
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder), [["before", "after"], *map(list, rows)])
        good, complaints = listed(root)
    groups = {name: {name} for row in rows for name in row}
    for a, b in rows:
        joined = groups[a] | groups[b]
        for name in joined:
            groups[name] = joined
    assert not complaints
    assert set(good) == set(groups)
    for a, joined in groups.items():
        for b in groups:
            same = good[a].origin.identity == good[b].origin.identity
            assert same == (b in joined)


def test_a_pair_of_two_people_joins_nobody(tmp_path):
    rows = [["first", "second", "same"], ["0.jpg", "1.jpg", "0"], ["2.jpg", "3.jpg", "1"]]
    good, complaints = listed(write(tmp_path, rows))
    assert not complaints
    people = [good[f"{n}.jpg"].origin.identity for n in range(4)]
    source = tmp_path.name
    assert people == ["", "", f"{source}/2.jpg", f"{source}/2.jpg"]
    assert good["0.jpg"].facts["pairs"] == [
        {"line": 2, "role": "first", "partner": "1.jpg", "same": False}
    ]


def test_one_name_and_one_split_serve_the_whole_person(tmp_path):
    rows = [["before", "after", "identity", "split"]]
    rows += [["0.jpg", "1.jpg", "ann", ""], ["1.jpg", "2.jpg", "", "test"]]
    good, _ = listed(write(tmp_path, rows))
    assert {(i.origin.identity, i.origin.split) for i in good.values()} == {
        (f"{tmp_path.name}/ann", "test")
    }


def test_a_person_in_two_splits_is_left_out(tmp_path):
    rows = [["before", "after", "split"], ["0.jpg", "1.jpg", "train"], ["1.jpg", "2.jpg", "test"]]
    good, complaints = listed(write(tmp_path, [*rows, ["3.jpg", "4.jpg", ""]]))
    assert set(good) == {"3.jpg", "4.jpg"}
    assert len(complaints) == 3
    assert all("test and train" in text for text in complaints)


def test_rows_that_contradict_each_other(tmp_path):
    rows = [["first", "second", "same"], ["0.jpg", "1.jpg", "1"], ["1.jpg", "0.jpg", "0"]]
    _, complaints = listed(write(tmp_path, rows))
    assert complaints == ["pairs.csv:3: two people here, one person by other rows"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.jpg", "1 fields instead of 3"),
        ('0.jpg,"1.jpg,1', "unexpected end of data"),
        ("0.jpg,,1", "second is empty"),
        ("0.jpg,../1.jpg,1", "leaves the folder"),
        ("0.jpg,/etc/x.jpg,1", "leaves the folder"),
        ("0.jpg,notes.txt,1", "is no picture"),
        ("0.jpg,./0.jpg,1", "paired with itself"),
        ("0.jpg,1.jpg,yes", "same is 'yes'"),
    ],
)
def test_a_broken_row_names_its_line_and_the_others_count(tmp_path, line, reason):
    put_all(tmp_path, NAMES)
    (tmp_path / "pairs.csv").write_text(
        f"first,second,same\n2.jpg,3.jpg,1\n{line}\n4.jpg,5.jpg,1\n"
    )
    good, complaints = listed(tmp_path)
    assert set(good) == {"2.jpg", "3.jpg", "4.jpg", "5.jpg"}
    assert len(complaints) == 1
    assert complaints[0].startswith("pairs.csv:3: ")
    assert reason in complaints[0]


def test_a_split_nobody_knows(tmp_path):
    rows = [["before", "after", "split"], ["0.jpg", "1.jpg", "val"]]
    _, complaints = listed(write(tmp_path, [*rows, ["2.jpg", "3.jpg", ""]]))
    assert "split 'val' is none of train" in complaints[0]


def test_the_file_itself_may_be_given(tmp_path):
    write(tmp_path, [["before", "after"], ["0.jpg", "1.jpg"]])
    (tmp_path / "pairs.csv").rename(tmp_path / "mine.csv")
    items = list(open_source(tmp_path / "mine.csv").items())
    assert [i.name for i in items] == ["0.jpg", "1.jpg"]
    assert all(i.read() for i in items)
    assert items[0].origin.source == "mine"


def test_only_some_folders(tmp_path):
    put_all(tmp_path, ["a/0.jpg", "b/1.jpg"])
    (tmp_path / "pairs.csv").write_text("before,after\na/0.jpg,b/1.jpg\n")
    config = SourceConfig(path=str(tmp_path), folders=("a",))
    assert [i.name for i in open_source(config).items()] == ["a/0.jpg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"left,right\n", r"pairs.csv: columns before,after or first,second,same are missing"),
        (b"before,\xff\n", "is not a UTF-8 text file"),
        (b'"before,after\n', "line 1"),
        (None, "pairs.csv is missing"),
    ],
)
def test_a_file_that_is_no_table_of_pairs(tmp_path, content, message):
    put_all(tmp_path, NAMES)
    if content is not None:
        (tmp_path / "pairs.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(open_source(f"pairs:{tmp_path}").items())
