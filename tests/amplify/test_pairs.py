from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.amplify.pairs import look
from visagist.amplify.pairs import find_pairs, load_pairs
from visagist.amplify.register import Registration, RegistrationReport
from visagist.errors import DataError, InputError, NoChangeError, PhotoError

REPORT = RegistrationReport(
    shift=(0, 0), scale=1, turn=0, mirrored=False, bend=0, error=0, likeness=1, matched=1, cast=0,
    cast_error=0, blur=0, change=9, noise=1, warnings=("the face is small",),
)  # fmt: skip


def put(folder, *names, number=0):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 10 * number, np.uint8)).save(path)


def names(folder):
    pairs, left = find_pairs(folder)
    found = {p.name: (p.before.name, p.after.name) for p in pairs}
    return found, sorted((one.name, one.reason) for one in left)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    put(tmp_path, "anna_before.png", "anna_after.png")
    (tmp_path / "locked").mkdir()
    plain = Path.iterdir

    def refuse(self):
        if self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return plain(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert names(tmp_path)[1] == [("locked", "unreadable")]
    with pytest.raises(DataError, match="Permission"):
        find_pairs(tmp_path / "locked")


def test_two_folders_with_equal_names(tmp_path):
    put(tmp_path, "before/anna.jpg", "after/Anna.png", "before/ben.jpg", "after/ben_after.jpg")
    put(tmp_path, "before/carl.jpg", "cover.jpg")
    (tmp_path / "after" / "notes.txt").write_text("x")
    (tmp_path / ".DS_Store").write_text("x")
    found, left = names(tmp_path)
    assert found == {"anna": ("anna.jpg", "Anna.png"), "ben": ("ben.jpg", "ben_after.jpg")}
    assert left == [("carl.jpg", "single"), ("cover.jpg", "stray"), ("notes.txt", "stray")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("anna_before.jpg", "anna_after.jpg"),
        ("before-anna.jpg", "after-anna.png"),
        ("anna (bare).jpg", "anna (makeup).jpg"),
        ("anna.original.jpg", "anna.edited.jpg"),
        ("Anna_BEFORE.JPG", "anna_After.jpg"),
    ],
)
def test_names_that_say_which_is_which(tmp_path, before, after):
    put(tmp_path, before, after)
    assert names(tmp_path) == ({"anna": (before, after)}, [])


def test_a_folder_for_each_pair(tmp_path):
    put(tmp_path, "01/before.jpg", "01/after.jpg", "02/before.jpg", "02/after.jpg", "03/after.jpg")
    found, left = names(tmp_path)
    assert list(found) == ["01", "02"]
    assert left == [("after.jpg", "single")]


def test_two_photos_of_one_name_belong_to_no_pair(tmp_path):
    put(tmp_path, "a_before.jpg", "a_before.png", "a_after.jpg", "b_before.jpg", "b_after.jpg")
    found, left = names(tmp_path)
    assert list(found) == ["b"]
    assert {reason for _, reason in left} == {"ambiguous"}
    assert len(left) == 3


def test_a_list(tmp_path):
    put(tmp_path, "x/1.jpg", "y/2.jpg")
    (tmp_path / "pairs.csv").write_text("before,after,name\nx/1.jpg,y/2.jpg,anna\n")
    assert names(tmp_path)[0] == {"anna": ("1.jpg", "2.jpg")}
    assert names(tmp_path / "pairs.csv")[0] == {"anna": ("1.jpg", "2.jpg")}
    (tmp_path / "pairs.csv").write_text("before,after\nx/1.jpg,\n")
    with pytest.raises(DataError, match="line 2"):
        find_pairs(tmp_path)
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00before")
    with pytest.raises(DataError, match="cannot be read"):
        find_pairs(tmp_path)


def test_nothing_that_makes_a_pair(tmp_path):
    put(tmp_path, "one.jpg", "two.jpg")
    with pytest.raises(InputError, match="holds no pair"):
        find_pairs(tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        find_pairs(tmp_path / "missing")
    with pytest.raises(InputError, match="a CSV"):
        find_pairs(tmp_path / "one.jpg")


def register(before, after, *, name):
    """A look by the grey of the before-picture; 200 stands for a pair without makeup."""
    number = int(before[0, 0, 0]) // 10
    if number == 20:
        raise NoChangeError(f"{name}: no makeup", reason="no_change")
    return Registration(look(number), REPORT, np.zeros((256, 256, 2), np.float32))


def test_broken_pairs_are_reported_and_the_same_pair_counts_once(tmp_path):
    for number, name in ((1, "a"), (2, "b"), (1, "c"), (1, "d"), (20, "e"), (3, "f")):
        put(tmp_path, f"{name}_before.png", f"{name}_after.png", number=number)
    (tmp_path / "f_after.png").write_bytes(b"no picture")
    done = []
    pairs = load_pairs(tmp_path, register=register, progress=lambda *step: done.append(step))
    assert len(pairs.looks) == 2
    left = {one.name: (one.reason, one.message) for one in pairs.left_out}
    assert [left[name][0] for name in "cdef"] == [
        "duplicate", "duplicate", "no_change", "unreadable",
    ]  # fmt: skip
    assert "f_after.png" in left["f"][1]
    assert any("2 pairs: a style can be learned" in text for text in pairs.warnings)
    assert any("2 pairs repeat" in text for text in pairs.warnings)
    assert any("the face is small" in text for text in pairs.warnings)
    assert done[-1] == (6, 6)


def test_five_pairs_need_no_advice_and_one_pair_does(tmp_path):
    for number in range(1, 6):
        put(tmp_path / "five", f"{number}_before.png", f"{number}_after.png", number=number)
    found = load_pairs(tmp_path / "five", register=register)
    assert len(found.looks) == 5
    assert not any("can be learned" in text for text in found.warnings)
    put(tmp_path / "one", "a_before.png", "a_after.png", number=1)
    assert "one pair" in load_pairs(tmp_path / "one", register=register).warnings[0]


def test_when_no_pair_can_be_used(tmp_path):
    put(tmp_path, "a_before.png", "a_after.png", number=20)
    with pytest.raises(NoChangeError):
        load_pairs(tmp_path, register=register)
    (tmp_path / "b_before.png").write_bytes(b"x")
    put(tmp_path, "b_after.png")
    with pytest.raises(DataError, match=r"no pair can be used.*a: no makeup.*b_before"):
        load_pairs(tmp_path, register=register)
    (tmp_path / "a_before.png").unlink()
    with pytest.raises(PhotoError, match="b_before"):
        load_pairs(tmp_path, register=register)
