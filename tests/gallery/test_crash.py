"""Killed, full, read-only: what was told to be done is done, and nothing is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gallery.small_gallery import KEY, ask, create, names, put
from visagist.errors import GalleryWriteError
from visagist.gallery.gallery import Gallery

ROOT = Path(__file__).parents[2]
ENROL = """
import sys
from tests.gallery.small_gallery import KEY, put, face_crop
from visagist.gallery.gallery import Gallery
with Gallery.open(sys.argv[1], key=KEY) as gallery:
    for k in range(int(sys.argv[2]), 100000):
        put(gallery, f"P {k}", k % 50000, crop=face_crop() if k % 7 == 0 else None)
        print(k, flush=True)
"""


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_9_loses_at_most_the_one_in_flight(tmp_path):
    with create(tmp_path) as gallery:
        path = Path(gallery.place)
    told = 0
    for moment in (0.0, 0.011, 0.023, 0.037, 0.071):
        process = started(ENROL, path, told)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        time.sleep(moment)  # somewhere in an enrolment
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        lines += rest.splitlines()
        whole = [int(line) for line in lines if line.strip().isdigit()]
        told = whole[-1] + 1
        with Gallery.open(path, key=KEY) as gallery:
            gallery.audit()
            there = len(gallery)
            assert names(gallery) == [f"P {k}" for k in range(there)]
            # the one in flight may have been written and not yet told
            assert told <= there <= told + 1
            assert ask(gallery, there - 1).decision == "known"
        told = there
    assert told >= 15


def test_killed_while_it_is_made_leaves_no_gallery(tmp_path):
    """The file takes its name when it is whole; a kill before that leaves only a temporary."""
    code = """
import os, sys, signal
from pathlib import Path
from tests.gallery.small_gallery import create
os.link = lambda *_: os._exit(9)
create(Path(sys.argv[1]))
"""
    process = started(code, tmp_path)
    process.communicate()
    assert process.returncode == 9
    assert not (tmp_path / "small.gallery").exists()
    create(tmp_path).close()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_full_disk_changes_nothing(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        path = Path(gallery.place)
    code = """
import resource, sys
from tests.gallery.small_gallery import KEY, put, face_crop, ask, names
from visagist.errors import GalleryWriteError
from visagist.gallery.gallery import Gallery
with Gallery.open(sys.argv[1], key=KEY) as gallery:
    # no file of this process may grow beyond this: the same error as a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    done = 0
    try:
        for k in range(2, 99):
            put(gallery, f"P {k}", k, crop=face_crop())
            done += 1
    except GalleryWriteError as error:
        print(error)
    assert done and len(names(gallery)) == done + 1
    assert ask(gallery, done + 1).decision == "known"
    assert ask(gallery, done + 2).decision == "unknown"
    print(done)
"""
    process = started(code, path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    message, done = out.splitlines()
    assert "cannot be read or written" in message
    assert "as it was before" in message
    with Gallery.open(path, key=KEY) as gallery:
        gallery.audit()
        assert len(gallery) == int(done) + 1
        put(gallery, "Bea", 5000)


def test_a_gallery_that_may_only_be_read_is_searched_and_not_changed(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        gallery._core.store._db.execute("PRAGMA query_only = ON")
        assert ask(gallery, 1).decision == "known"
        for change in (lambda: put(gallery, "Bea", 2), lambda: gallery.remove("Ada")):
            with pytest.raises(GalleryWriteError, match="as it was before"):
                change()
        assert names(gallery) == ["Ada"]
        gallery.audit()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do it all")
def test_a_read_only_folder(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        path = Path(gallery.place)
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with Gallery.open(path, key=KEY) as gallery:
            assert ask(gallery, 1).decision == "known"
            with pytest.raises(GalleryWriteError):
                put(gallery, "Bea", 2)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(GalleryWriteError, match="cannot be made"):
        create(tmp_path / "nowhere")
    with pytest.raises(GalleryWriteError, match="cannot be made"):
        create(tmp_path, "a\0b")


def test_ctrl_c_in_the_middle_of_a_change(tmp_path, monkeypatch):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        store = gallery._core.store

        def interrupted(change):
            type(store)._write(store, change)
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "_write", interrupted, raising=False)
        with pytest.raises(KeyboardInterrupt):
            put(gallery, "Bea", 2)
        monkeypatch.undo()
        assert names(gallery) == ["Ada"]
        put(gallery, "Bea", 2)
        assert len(gallery.audit().entries) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_removing_on_a_full_disk_says_that_traces_are_left(tmp_path):
    with create(tmp_path) as gallery:
        for k in range(9):
            put(gallery, f"P {k}", k)
        path = Path(gallery.place)
    code = """
import resource, sys
from tests.gallery.small_gallery import KEY, names
from visagist.gallery.gallery import Gallery
with Gallery.open(sys.argv[1], key=KEY) as gallery:
    store = gallery._core.store
    purge = store.purge
    def on_a_full_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            return purge()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    store.purge = on_a_full_disk
    print(gallery.remove("P 3").purged, len(names(gallery)))
    store.purge = purge
    print(gallery.remove_expired().purged)
"""
    process = started(code, path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.splitlines() == ["False 8", "True"]
