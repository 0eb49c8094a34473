"""Files are written whole or not at all."""

import errno
import os
import stat
import sys

import numpy as np
import pytest

from tests.photo import photo_samples as samples
from visagist.errors import DiskFullError, PhotoError, PhotoWriteError
from visagist.photo import Photo
from visagist.photo.files import append_line, mapped_array, read_bytes, write_atomically

PHOTO = Photo.from_array(samples.picture())


def failing(number):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_disk_leaves_nothing_behind(number, overwrite, tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    if overwrite:
        path.write_bytes(b"precious")
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(PhotoWriteError, match=r"out\.png"):
        PHOTO.save(path, overwrite=overwrite)
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == (["out.png"] if overwrite else [])
    if overwrite:
        assert path.read_bytes() == b"precious"


def test_a_failing_rename_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    monkeypatch.setattr(os, "replace", failing(errno.EACCES))
    with pytest.raises(PhotoWriteError):
        PHOTO.save(path, overwrite=True)
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"precious"


def test_the_same_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    PHOTO.save(tmp_path / "a.png")
    assert Photo.open(tmp_path / "a.png").width == PHOTO.width
    with pytest.raises(PhotoWriteError, match="exists"):
        PHOTO.save(tmp_path / "a.png")
    monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
    with pytest.raises(PhotoWriteError):
        PHOTO.save(tmp_path / "b.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        PHOTO.save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_another_program_is_quicker(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    link = os.link

    def slow_link(source, target):
        path.write_bytes(b"theirs")
        link(source, target)

    monkeypatch.setattr(os, "link", slow_link)
    with pytest.raises(PhotoWriteError, match="exists"):
        PHOTO.save(path)
    assert path.read_bytes() == b"theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_dangling_link_is_not_followed(tmp_path):
    path = tmp_path / "a.png"
    path.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(PhotoWriteError, match="exists"):
        PHOTO.save(path)
    assert not (tmp_path / "elsewhere.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_permissions_follow_the_umask_and_the_replaced_file(tmp_path):
    before = os.umask(0o027)
    try:
        PHOTO.save(tmp_path / "new.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o640
    (tmp_path / "new.png").chmod(0o604)
    PHOTO.save(tmp_path / "new.png", overwrite=True)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o604


def test_a_read_only_folder_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.open", failing(errno.EACCES))  # root may write anywhere
    with pytest.raises(PhotoWriteError, match="choose another folder"):
        PHOTO.save(tmp_path / "a.png")


def test_a_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(PhotoWriteError, match="make it first"):
        PHOTO.save(tmp_path / "no" / "such" / "a.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PhotoWriteError):
        PHOTO.save(tmp_path / "file" / "a.png")


def test_nothing_is_written_when_encoding_fails(tmp_path):
    wide = Photo.from_array(np.zeros((1, 70_000, 3), np.uint8))
    with pytest.raises(PhotoWriteError):
        wide.save(tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_not_a_file(tmp_path):
    for path, said in ((tmp_path / "none.png", "does not exist"), (tmp_path, "a folder")):
        with pytest.raises(PhotoError, match=said):
            Photo.open(path)
    with pytest.raises(PhotoError):
        Photo.open("null\0byte.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PhotoError, match="not a regular file"):
        Photo.open(tmp_path / "pipe.png")


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    monkeypatch.setattr("pathlib.Path.open", failing(errno.EACCES))
    with pytest.raises(PhotoError, match="cannot be read"):
        read_bytes(path, max_bytes=10)


def test_bytes_arrive_whole(tmp_path):
    write_atomically(tmp_path / "ü", b"abc" * 1000, overwrite=False)
    assert read_bytes(tmp_path / "ü", max_bytes=3000) == b"abc" * 1000


def test_a_mapped_array_is_kept_or_made_anew(tmp_path):
    path = tmp_path / "a.npy"
    made = mapped_array(path, np.uint8, (3, 5))
    made[1] = 7
    made.flush()
    assert mapped_array(path, np.uint8, (3, 5), keep=True)[1].tolist() == [7] * 5
    assert not mapped_array(path, np.uint8, (3, 5)).any()
    assert np.load(path).shape == (3, 5)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve room")
def test_a_mapped_array_takes_its_room_or_says_that_there_is_none(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    mapped_array(path, np.uint8, (1 << 20,))
    assert path.stat().st_blocks * 512 >= 1 << 20  # not a sparse file
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.ENOSPC))
    with pytest.raises(DiskFullError, match="make room"):
        mapped_array(path, np.uint8, (1 << 20,))
    assert not path.exists()
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.EOPNOTSUPP))
    assert mapped_array(path, np.uint8, (8,)).shape == (8,)


def test_lines_are_added_whole_after_a_torn_one(tmp_path):
    path = tmp_path / "list"
    append_line(path, "first", mode=0o600)
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("ab") as file:
        file.write(b"to")  # a power cut
    append_line(path, "second")
    append_line(path, "third")
    assert path.read_text().splitlines() == ["first", "to", "second", "third"]


def test_a_line_that_the_disk_has_no_room_for_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="space"):
        append_line(tmp_path / "list", "one")
