from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.corpus.build.people import PeopleTask
from tests.corpus.engines.dying_people import SHOTS, DyingPeople
from tests.corpus.engines.small_task import DigestTask, chunked, contents, write_chunk
from visagist.corpus.build import BuildConfig, build
from visagist.corpus.engines import run
from visagist.errors import DataError, InputError


@pytest.fixture
def run_in(tmp_path):
    """Runs the task with an engine in a folder of its own and returns what it wrote."""

    def in_folder(engine, task, name, *, size=4, **options):
        folder = tmp_path / name
        folder.mkdir()
        run(engine, task, chunked(task, size), folder, run_chunk=write_chunk, **options)
        return contents(folder)

    return in_folder


def test_two_workers_write_what_one_process_writes(tmp_path, run_in):
    task = DigestTask(30, tmp_path, skipped=(3, 17))
    seen = []
    serial = run_in("serial", task, "serial")
    parallel = run_in("processes", task, "two", workers=2, progress=lambda *a: seen.append(a))
    assert len(serial) == 8
    assert parallel == serial
    assert seen[-1] == (30, 30)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert not multiprocessing.active_children()


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path, run_in):
    marks = tmp_path / "marks"
    marks.mkdir()
    expected = run_in("serial", DigestTask(24, marks), "serial")
    # item 5 kills its process once, item 14 twice: both are below what makes an item guilty
    dying = DigestTask(24, marks, dies={5: 1, 14: 2})
    assert run_in("processes", dying, "dying", workers=2) == expected
    assert len(list(marks.iterdir())) == 3


def test_a_corpus_built_by_dying_workers_is_the_one_built_without(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    config = BuildConfig(chunk=4)
    build(PeopleTask(SHOTS), tmp_path / "serial", config)
    dying = DyingPeople(marks, deadly=(2, 9, 17))
    build(dying, tmp_path / "dying", config, engine="processes", workers=2)
    assert len(list(marks.iterdir())) == 3
    assert contents(tmp_path / "dying") == contents(tmp_path / "serial")


def test_an_item_that_always_kills_is_the_only_one_lost(tmp_path, run_in):
    poisoned = run_in("processes", DigestTask(12, tmp_path, dies={6: -1}), "poisoned", workers=2)
    clean = run_in("serial", DigestTask(12, tmp_path), "clean")
    assert sorted(poisoned) == sorted(clean)
    changed = [name for name in clean if poisoned[name] != clean[name]]
    assert changed == ["chunk-00001.json"]
    assert b'["0006", "worker_killed"' in poisoned["chunk-00001.json"]
    assert poisoned["chunk-00001.json"].count(b"worker_killed") == 1


def test_items_that_all_kill_are_no_fault_of_theirs(tmp_path, run_in):
    task = DigestTask(2, tmp_path, dies={0: -1, 1: -1})
    with pytest.raises(DataError, match="each of the 2 items of chunk 0"):
        run_in("processes", task, "dead", workers=1)


def test_a_passing_fault_is_tried_again_and_a_lasting_one_reported(tmp_path, run_in):
    marks = tmp_path / "marks"
    marks.mkdir()
    written = run_in("serial", DigestTask(4, marks, faults={1: 2, 2: 3}), "faults")
    assert written["chunk-00000.json"].count(b"system_error") == 1
    assert b'["0002", "system_error", "Input/output error"]' in written["chunk-00000.json"]


def test_an_unexpected_error_ends_the_run_and_keeps_its_traceback(tmp_path, run_in):
    task = DigestTask(40, tmp_path, breaks=(2,))
    with pytest.raises(ZeroDivisionError, match="item 2") as caught:
        run_in("processes", task, "broken", workers=2)
    assert any("small_task.py" in note for note in caught.value.__notes__)
    assert not multiprocessing.active_children()


def test_workers_compute_on_one_thread(tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    before = dict(os.environ)
    task = DigestTask(1, tmp_path)
    run("processes", task, chunked(task, 1), seen, run_chunk=write_threads, workers=1)
    assert dict(os.environ) == before
    assert contents(seen) == {"threads": os.environ.get("OMP_NUM_THREADS", "1").encode()}


def write_threads(task, number, items, folder: Path) -> None:
    (folder / "threads").write_text(os.environ["OMP_NUM_THREADS"])


def test_a_task_that_the_workers_cannot_read_is_one_sentence(tmp_path):
    task = Unreadable(1, tmp_path)
    with pytest.raises(DataError, match="before it could begin"):
        run("processes", task, chunked(task, 1), tmp_path, run_chunk=write_chunk, workers=1)


class Unreadable(DigestTask):
    def __reduce__(self):
        return divmod, (1, 0)


def test_ctrl_c_stops_the_workers(tmp_path):
    script = tmp_path / "long_run.py"
    script.write_text(
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from visagist.corpus.engines import run\n"
        "from visagist.corpus.task import Item\n"
        "from tests.corpus.engines.small_task import DigestTask\n"
        "def endless(task, number, items, folder):\n"
        "    (folder / f'begun-{number}').touch()\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        # what runs in the background of a script is started with Ctrl-C ignored
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    folder = Path(sys.argv[1])\n"
        "    chunks = {0: [Item('0', 0)], 1: [Item('1', 1)]}\n"
        "    task = DigestTask(2, folder)\n"
        "    run('processes', task, chunks, folder, run_chunk=endless, workers=2)\n"
    )
    root = Path(__file__).parents[3]
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(tmp_path.glob("begun-*"))) < 2:
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    assert "KeyboardInterrupt" in driver.communicate(timeout=20)[1]
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        while True:
            os.killpg(driver.pid, 0)
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"workers": 0}, "at least 1"), ({"address": "auto"}, "only the engine ray")],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, options, message):
    task = DigestTask(1, tmp_path)
    with pytest.raises(InputError, match=message):
        run("processes", task, chunked(task, 1), tmp_path, run_chunk=write_chunk, **options)


class Counted(Sequence):
    """Items that count how many chunks of them are in memory at once."""

    loads = 0

    def __init__(self, items):
        self.stored = items

    def __len__(self):
        return len(self.stored)

    def __getitem__(self, k):
        return self.stored[k]

    def __iter__(self):
        Counted.loads += 1
        return iter(self.stored)


def test_chunks_are_loaded_when_they_are_begun(tmp_path):
    task = DigestTask(40, tmp_path)
    chunks = {number: Counted(items) for number, items in chunked(task, 2).items()}
    loads = []
    run(
        "processes",
        task,
        chunks,
        tmp_path,
        run_chunk=write_chunk,
        workers=2,
        progress=lambda *_: loads.append(Counted.loads),
    )
    # each worker holds one chunk, so the k-th answer finds k + 1 begun at most
    assert all(begun <= k + 2 for k, begun in enumerate(loads))
    assert loads[-1] == 20


def test_nothing_to_do_starts_nobody(tmp_path):
    run("processes", DigestTask(0, tmp_path), {}, tmp_path, run_chunk=write_chunk, workers=2)
    assert contents(tmp_path) == {}
