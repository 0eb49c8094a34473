from __future__ import annotations

import errno
import pickle
from itertools import pairwise

import pytest

from visagist.corpus.engines import job as module
from visagist.corpus.engines.job import Job, PatientTask, told
from visagist.corpus.task import Item, SkippedItemError
from visagist.errors import DataError, PhotoError


class Faulty:
    """Raises each error once, then works."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def prepare(self, item):
        if self.errors:
            raise self.errors.pop(0)
        return ["done"]


def chain(*errors):
    """The last error, raised from the one before it, and so on."""
    for cause, error in pairwise(errors):
        error.__cause__ = cause
    return errors[-1]


def from_disk(number):
    """What a task says of a picture that the disk does not give: two errors above the system's."""
    return chain(
        OSError(number, "the disk says no"),
        PhotoError("cannot be read"),
        SkippedItemError("unreadable", "cannot be read"),
    )


@pytest.fixture
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(module.time, "sleep", taken.append)
    return taken


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "I/O"), MemoryError(), from_disk(errno.ESTALE)]
)
def test_passing_faults_are_tried_again(pauses, error):
    task = PatientTask(Faulty(error, OSError(errno.ETIMEDOUT, "timed out")))
    assert task.prepare(Item("a", 0)) == ["done"]
    assert pauses == [0.1, 1.0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (from_disk(errno.ENOENT), "unreadable"),
        (SkippedItemError("no_face", "none"), "no_face"),
        (OSError(errno.EACCES, "Permission denied"), "system_error"),
    ],
)
def test_what_would_be_the_same_again_is_not_tried_again(pauses, error, reason):
    with pytest.raises(SkippedItemError) as caught:
        PatientTask(Faulty(error)).prepare(Item("a", 0))
    assert caught.value.reason == reason
    assert pauses == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: OSError(errno.EIO, "I/O"), "system_error"),
        (MemoryError, "out_of_memory"),
        (lambda: from_disk(errno.EIO), "unreadable"),
    ],
)
def test_the_third_fault_is_reported(pauses, make, reason):
    with pytest.raises(SkippedItemError) as caught:
        PatientTask(Faulty(make(), make(), make())).prepare(Item("a", 0))
    assert caught.value.reason == reason


def test_errors_that_nobody_expects_pass_through(pauses):
    with pytest.raises(ZeroDivisionError):
        PatientTask(Faulty(ZeroDivisionError())).prepare(Item("a", 0))


def test_refused_items_are_not_prepared():
    task = PatientTask(Faulty(), frozenset({"a"}))
    with pytest.raises(SkippedItemError, match="worker_killed"):
        task.prepare(Item("a", 0))
    assert task.prepare(Item("b", 0)) == ["done"]


def test_a_loaded_job_holds_its_items(tmp_path):
    lazy = Job(3, range(2), tmp_path, frozenset({"a"}))
    assert lazy.loaded() == Job(3, (0, 1), tmp_path, frozenset({"a"}))


def test_our_own_errors_carry_no_traceback_to_the_driver():
    assert not hasattr(told(DataError("the disk is full")), "__notes__")
    travelled = pickle.loads(pickle.dumps(told(KeyError("x"))))
    assert "In the worker" in travelled.__notes__[0]
