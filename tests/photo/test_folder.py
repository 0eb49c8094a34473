import os

import pytest

from visagist.errors import InputError
from visagist.photo.folder import find_photos


@pytest.fixture
def tree(tmp_path):
    names = ("b.jpg", "a.PNG", "ä ö.webp", ".hidden.jpg", "notes.txt", "sub/c.tiff", ".git/d.jpg")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_without_its_subfolders(tree):
    assert names(find_photos([tree]), tree) == ["a.PNG", "b.jpg", "ä ö.webp"]


def test_a_folder_with_its_subfolders(tree):
    expected = ["a.PNG", "b.jpg", "sub/c.tiff", "ä ö.webp"]
    assert names(find_photos([tree], recursive=True), tree) == expected


def test_patterns(tree):
    assert names(find_photos([str(tree / "*.jpg")]), tree) == ["b.jpg"]
    assert names(find_photos([str(tree / "**" / "*.*")]), tree)[2] == "sub/c.tiff"
    assert names(find_photos([str(tree / "ä*")]), tree) == ["ä ö.webp"]


def test_each_photo_once_and_sorted(tree):
    given = [tree / "b.jpg", str(tree), str(tree / "*.PNG"), tree / "sub" / ".." / "b.jpg"]
    assert names(find_photos(given), tree) == ["a.PNG", "b.jpg", "ä ö.webp"]


def test_a_file_named_outright_is_taken_whatever_its_suffix(tree):
    assert names(find_photos([tree / "notes.txt", tree / ".hidden.jpg"]), tree) == [
        ".hidden.jpg",
        "notes.txt",
    ]


def test_a_folder_inside_a_hidden_folder_is_fine_when_named(tree):
    assert names(find_photos([tree / ".git"]), tree) == [".git/d.jpg"]


def test_a_name_that_looks_like_a_pattern(tree):
    (tree / "me[1].jpg").write_bytes(b"x")
    assert names(find_photos([tree / "me[1].jpg"]), tree) == ["me[1].jpg"]


def test_nothing_found_names_what_was_searched(tree):
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        find_photos([tree / "empty"])
    with pytest.raises(InputError, match=r"\*\.bmp"):
        find_photos([str(tree / "*.bmp")])
    with pytest.raises(InputError, match="nothing was named"):
        find_photos([])


def test_a_missing_file_is_an_error_even_beside_others(tree):
    with pytest.raises(InputError, match=r"missing\.jpg"):
        find_photos([tree, tree / "missing.jpg"])


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links")
def test_links_in_a_circle_end(tree):
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)
    assert len(find_photos([tree], recursive=True)) == 4
