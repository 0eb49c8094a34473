from __future__ import annotations

import errno
import json
import shutil

import pytest

from visagist.amplify.work import NOTE, Work, clear, enough_disk, require_space
from visagist.corpus.build.driver import only_builder
from visagist.errors import DataError, DiskFullError, InputError, PhotoWriteError


def test_a_finished_stage_keeps_its_result(tmp_path):
    work = Work(tmp_path / "w", {"style": "a"})
    with work.stage("one") as result:
        result["n"] = 3
    again = Work(tmp_path / "w", {"style": "a"})
    assert again.result("one") == {"n": 3}
    assert again.result("two") is None
    assert again.total_seconds == work.seconds("one")


def test_a_stopped_stage_is_not_done_but_its_time_counts(tmp_path):
    work = Work(tmp_path, {})
    with pytest.raises(KeyboardInterrupt), work.stage("one") as result:
        result["n"] = 3
        raise KeyboardInterrupt
    again = Work(tmp_path, {})
    assert again.result("one") is None
    note = json.loads((tmp_path / NOTE).read_text())
    note["stages"]["one"]["seconds"] = 50.0
    (tmp_path / NOTE).write_text(json.dumps(note))
    again = Work(tmp_path, {})
    with again.stage("one"):
        pass
    assert again.seconds("one") >= 50


def test_a_folder_of_other_work_is_refused_by_name_of_what_differs(tmp_path):
    with Work(tmp_path, {"style": "a", "pairs": [1, 2]}).stage("one"):
        pass
    Work(tmp_path, {"style": "a", "pairs": (1, 2)})
    with pytest.raises(InputError, match="another pairs"):
        Work(tmp_path, {"style": "a", "pairs": [1]})


def test_a_damaged_note_is_told(tmp_path):
    (tmp_path / NOTE).write_text("{")
    with pytest.raises(DataError, match=NOTE):
        Work(tmp_path, {})


def test_a_full_disk_is_a_typed_error_and_what_was_done_stays(tmp_path, monkeypatch):
    work = Work(tmp_path, {})
    with work.stage("one"):
        pass
    with pytest.raises(DiskFullError, match="goes on from here"), work.stage("two"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert Work(tmp_path, {}).result("one") == {}
    assert Work(tmp_path, {}).result("two") is None

    def full(*_: object, **__: object) -> None:
        raise PhotoWriteError("cannot be written") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("visagist.amplify.work.write_atomically", full)
    with pytest.raises(DiskFullError), work.stage("three"):
        pass


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="gone") as caught, enough_disk(tmp_path, "x"):
        raise OSError(errno.EIO, "gone")
    assert not isinstance(caught.value, DiskFullError)


def test_room_is_looked_for_before(tmp_path):
    require_space(tmp_path, 1, "a byte")
    with pytest.raises(DiskFullError, match="a universe needs"):
        require_space(tmp_path, shutil.disk_usage(tmp_path).total * 2, "a universe")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="something else"):
        Work(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_only_work_is_deleted_and_only_when_it_is_over(tmp_path):
    pytest.importorskip("fcntl")
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="not deleted"):
        clear(tmp_path)
    assert (tmp_path / "precious.txt").exists()
    with Work(tmp_path / "w", {}).stage("one"):
        pass
    with only_builder(tmp_path / "w"), pytest.raises(InputError, match="is writing to"):
        clear(tmp_path / "w")
    clear(tmp_path / "w")
    assert not (tmp_path / "w").exists()
    clear(tmp_path / "w")
