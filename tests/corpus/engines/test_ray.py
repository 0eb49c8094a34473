from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.build.people import PeopleTask
from tests.corpus.engines.dying_people import SHOTS, DyingPeople
from tests.corpus.engines.small_task import DigestTask, chunked, contents, write_chunk
from visagist.corpus.build import BuildConfig, build
from visagist.corpus.engines import run
from visagist.corpus.engines.job import Job
from visagist.corpus.engines.ray_settings import before_import
from visagist.errors import DataError, InputError

before_import(None)
pytest.importorskip("ray")

from visagist.corpus.engines import ray as engine  # noqa: E402 - after what Ray reads at import


@pytest.fixture(scope="module")
def _started(tmp_path_factory):
    """Ray as the engine starts it, once for this module; runs that find it use it."""
    folder = tmp_path_factory.mktemp("ray")
    task = DigestTask(1, folder)
    with engine.Ray(task, write_chunk, folder, workers=2, address=None, shared=()):
        yield
    assert not engine.ray.is_initialized()


def written(engine_name, task, folder, *, size=4, **options):
    folder.mkdir()
    run(engine_name, task, chunked(task, size), folder, run_chunk=write_chunk, **options)
    return contents(folder)


@pytest.mark.usefixtures("_started")
def test_ray_writes_what_one_process_writes(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    expected = written("serial", DigestTask(24, marks, skipped=(3,)), tmp_path / "serial")
    faulty = DigestTask(24, marks, skipped=(3,), faults={7: 2})
    seen = []
    got = written("ray", faulty, tmp_path / "ray", workers=2, progress=lambda *a: seen.append(a))
    assert got == expected
    assert len(list(marks.iterdir())) == 2
    assert seen[-1] == (24, 24)


@pytest.mark.usefixtures("_started")
def test_a_corpus_built_by_dying_workers_is_the_one_built_without(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    config = BuildConfig(chunk=4)
    build(PeopleTask(SHOTS), tmp_path / "serial", config)
    dying = DyingPeople(marks, deadly=(9,))
    build(dying, tmp_path / "ray", config, engine="ray", workers=2, shared=[marks])
    assert len(list(marks.iterdir())) == 1
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")


@pytest.mark.usefixtures("_started")
def test_a_job_that_kills_is_given_back_and_the_others_are_done(tmp_path):
    # what rescue.py builds upon; its own steps are tested with processes, where dying is quicker
    task = DigestTask(3, tmp_path, dies={1: -1})
    jobs = [Job(number, (item,), tmp_path) for number, item in enumerate(task.items())]
    finished = []
    with engine.Ray(task, write_chunk, tmp_path, workers=2, address=None, shared=()) as attempt:
        # two tries, as there: a job that is sent to an actor while it restarts has lost one already
        lost = attempt(jobs, tries=2, finished=lambda job: finished.append(job.number))
    assert lost == [jobs[1]]
    assert sorted(finished) == [0, 2]
    assert sorted(contents(tmp_path)) == ["chunk-00000.json", "chunk-00002.json"]


@pytest.mark.usefixtures("_started")
def test_an_unexpected_error_ends_the_run_and_keeps_its_traceback(tmp_path):
    task = DigestTask(8, tmp_path, breaks=(2,))
    with pytest.raises(ZeroDivisionError, match="item 2") as caught:
        written("ray", task, tmp_path / "ray", workers=1)
    assert any("small_task.py" in note for note in caught.value.__notes__)
    assert not list((tmp_path / "ray").glob("jobs-*"))


@pytest.mark.usefixtures("_started")
def test_ray_listens_on_this_machine_only(tmp_path):
    (node,) = [node for node in engine.ray.nodes() if node["Alive"]]
    assert node["NodeManagerAddress"] == "127.0.0.1"


def test_the_client_of_ray_is_refused(tmp_path):
    with pytest.raises(InputError, match="address for Ray's client"):
        written("ray", DigestTask(1, tmp_path), tmp_path / "out", address="ray://head:10001")


# A worker is an ordinary object: what it says about its machine is tested without a cluster.


def worker_for(tmp_path, *, shared=(), version=None):
    task = DigestTask(2, tmp_path)
    job = Job(0, tuple(task.items()), tmp_path)
    file = tmp_path / "jobs"
    (row,) = engine._written([job], file)
    spec = pickle.dumps((task, write_chunk))
    return engine._Worker(spec, file, shared, version or engine._version()), row, file


def error_of(answer):
    return pickle.loads(answer["error"])


def test_a_worker_runs_the_job_at_its_place(tmp_path):
    worker, row, _ = worker_for(tmp_path, shared=(tmp_path,))
    assert worker(row) == {"job": 0, "error": b""}
    assert "chunk-00000.json" in contents(tmp_path)


def test_a_worker_that_does_not_see_the_sources_says_so(tmp_path):
    worker, row, _ = worker_for(tmp_path, shared=(Path("/nowhere/photos"),))
    error = error_of(worker(row))
    assert isinstance(error, DataError)
    assert "does not see /nowhere/photos" in str(error)


def test_a_worker_that_does_not_see_the_output_says_so(tmp_path):
    worker, row, file = worker_for(tmp_path)
    file.unlink()
    assert f"does not see {file}" in str(error_of(worker(row)))


def test_a_worker_of_another_version_says_so(tmp_path):
    worker, row, _ = worker_for(tmp_path, version="0.0.1")
    assert "the driver 0.0.1" in str(error_of(worker(row)))


def test_jobs_that_somebody_changed_are_not_unpickled(tmp_path):
    worker, row, file = worker_for(tmp_path)

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was-here"),)

    file.write_bytes(pickle.dumps(Evil()).ljust(row["length"], b"\0"))
    assert "was changed" in str(error_of(worker(row)))
    assert not (tmp_path / "was-here").exists()


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.corpus.engines.small_task import DigestTask, chunked, write_chunk\n"
        "from visagist.corpus.engines import run\n"
        "from visagist.errors import DataError\n"
        "task = DigestTask(1, Path(sys.argv[1]))\n"
        "try:\n"
        "    run('ray', task, chunked(task, 1), Path(sys.argv[1]), run_chunk=write_chunk,\n"
        "        address='127.0.0.1:1')\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("Ray does not run at 127.0.0.1:1: "), done
