from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.build.people import PeopleTask, Shot, contents
from visagist.corpus.build import BuildConfig, SplitConfig, build
from visagist.corpus.corpus import Corpus
from visagist.corpus.task import Item
from visagist.errors import ConfigError, DataError, InputError

SHOTS = [Shot(f"{n:02d}.jpg", n, identity=f"person {n // 2}") for n in range(20)]
CONFIG = BuildConfig(chunk=3, shard_size=6, quality=80, splits=SplitConfig(test=0.3))


def report(folder):
    return [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]


def test_every_item_is_kept_or_reported(tmp_path):
    shots = [*SHOTS[:4], Shot("broken.jpg", 0), *SHOTS[4:6]]
    built = build(PeopleTask(shots), tmp_path / "out", CONFIG)
    counts = built.corpus.summary["counts"]
    assert counts["items"] == 7
    assert counts["samples"] == counts["kept"] == 6
    assert counts["dropped"] == {"unreadable": 1}
    assert sum(counts["splits"].values()) == 6
    assert counts["identities"] == 3
    assert report(tmp_path / "out") == [
        {
            "key": "people/broken.jpg",
            "source": "",
            "item": "people/broken.jpg",
            "reason": "unreadable",
            "detail": "it is broken",
        }
    ]
    assert not (tmp_path / "out" / "work").exists()


def test_what_is_read_back_is_what_was_made(tmp_path):
    task = PeopleTask(SHOTS[:8])
    corpus = build(task, tmp_path, CONFIG).corpus
    made = {s.key: s for item in task.items() for s in task.prepare(item)}
    assert sorted(r.key for r in corpus.records) == sorted(made)
    for record in corpus.records:
        sample, truth = corpus.load(record), made[record.key]
        assert sample.origin == record.origin == truth.origin
        assert sample.quality == truth.quality
        assert record.quality.sharpness == pytest.approx(truth.quality.sharpness, rel=1e-6)
        assert sample.facts == record.facts == truth.facts
        assert sample.fingerprint == record.fingerprint == truth.fingerprint
        assert record.extras == ("depth.png",)
        assert sample.extras == truth.extras
        assert np.array_equal(sample.mesh, truth.mesh)
        assert np.abs(record.mesh - truth.mesh).max() <= 1 / 32 + 1e-6
        assert np.array_equal(sample.matrix, truth.matrix)
        assert np.abs(sample.image.astype(int) - truth.image).mean() < 6
        assert corpus.picture(record)[:2] == b"\xff\xd8"


def test_png_crops_are_exact(tmp_path):
    task = PeopleTask(SHOTS[:2])
    corpus = build(task, tmp_path, CONFIG.model_copy(update={"picture": "png"})).corpus
    made = {s.key: s for item in task.items() for s in task.prepare(item)}
    for record in corpus.records:
        assert np.array_equal(corpus.load(record).image, made[record.key].image)


def test_equal_input_gives_equal_bytes_whatever_the_chunks_run_on(tmp_path):
    task = PeopleTask(SHOTS[:9])
    build(task, tmp_path / "one", CONFIG)
    build(task, tmp_path / "two", CONFIG, engine="processes", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_second_run_changes_nothing(tmp_path):
    task = PeopleTask(SHOTS[:6])
    assert build(task, tmp_path, CONFIG).fresh
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = build(task, tmp_path, CONFIG)
    assert not again.fresh
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


KILLED = """
    import sys
    from pathlib import Path
    from tests.corpus.build.people import PeopleTask
    from tests.corpus.build.test_build import CONFIG, SHOTS
    from visagist.corpus.build import build
    build(PeopleTask(SHOTS), Path(sys.argv[1]), CONFIG)
"""


def test_killed_at_five_moments_it_ends_as_if_it_had_not_been(tmp_path):
    unbroken, out = tmp_path / "unbroken", tmp_path / "killed"
    build(PeopleTask(SHOTS), unbroken, CONFIG)
    work = out / "work"
    draw = np.random.default_rng(time.time_ns())  # another moment in every run of the tests
    moments = [
        (work / "settings.json").exists,
        (work / "chunk-00001.json").exists,
        (work / "chunk-00004.tar").exists,
        (work / "finish").exists,
        lambda: any((work / "finish" / "shards").glob("*.tar")),
    ]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(out)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    killed = 0
    for moment in moments:
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        while process.poll() is None and not moment():
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.02))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 3  # the last moments are short, and the run may have ended before the kill
    resumed = build(PeopleTask(SHOTS), out, CONFIG)
    assert resumed.resumed >= 5 or not resumed.fresh
    assert contents(out) == contents(unbroken)


def test_it_goes_on_from_the_chunks_that_are_done(tmp_path, monkeypatch):
    task, seen = PeopleTask(SHOTS[:9]), []
    prepare = PeopleTask.prepare

    def counting(self, item):
        seen.append(item.key)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return prepare(self, item)

    monkeypatch.setattr(PeopleTask, "prepare", counting)
    with pytest.raises(KeyboardInterrupt):
        build(task, tmp_path, CONFIG)
    built = build(task, tmp_path, CONFIG)
    assert built.resumed == 1
    assert sorted(seen) == sorted([*(f"people/{s.name}" for s in SHOTS[:9]), *seen[3:5]])
    with pytest.raises(DataError, match="no finished corpus"):
        Corpus.open(tmp_path / "elsewhere")


def test_other_settings_are_refused_by_name(tmp_path):
    build(PeopleTask(SHOTS[:3]), tmp_path, CONFIG)
    other = CONFIG.model_copy(update={"quality": 70})
    with pytest.raises(ConfigError, match=r"build.quality = 80, and now it is 70"):
        build(PeopleTask(SHOTS[:3]), tmp_path, other)


def test_other_settings_are_refused_in_a_broken_run(tmp_path, monkeypatch):
    def stop(self, item):
        raise KeyboardInterrupt

    monkeypatch.setattr(PeopleTask, "prepare", stop)
    with pytest.raises(KeyboardInterrupt):
        build(PeopleTask(SHOTS[:3]), tmp_path, CONFIG)
    other = CONFIG.model_copy(update={"splits": SplitConfig(test=0.4)})
    with pytest.raises(ConfigError, match=r"build.splits.test = 0.3, and now it is 0.4"):
        build(PeopleTask(SHOTS[:3]), tmp_path, other)


class GrowingTask(PeopleTask):
    """Describes itself alike whatever it lists, as a folder does that gets new pictures."""

    def describe(self):
        return {"task": "growing"}


def test_new_pictures_on_a_finished_corpus_are_named_and_overwrite_takes_them(tmp_path):
    build(GrowingTask(SHOTS[:4]), tmp_path, CONFIG)
    with pytest.raises(DataError, match=r"4 items then, 5 now.*--overwrite"):
        build(GrowingTask(SHOTS[:5]), tmp_path, CONFIG)
    built = build(GrowingTask(SHOTS[:5]), tmp_path, CONFIG, overwrite=True)
    assert built.fresh
    assert built.corpus.summary["counts"]["kept"] == 5


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"holiday.jpg"):
        build(PeopleTask(SHOTS[:1]), tmp_path, CONFIG, overwrite=True)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that die with a process")
def test_two_builds_in_one_folder_are_refused(tmp_path):
    class Nested(PeopleTask):
        def prepare(self, item):
            build(PeopleTask(SHOTS[:1]), tmp_path, CONFIG)
            raise AssertionError

    with pytest.raises(InputError, match="another build"):
        build(Nested(SHOTS[:1]), tmp_path, CONFIG)


def test_a_full_disk_costs_one_line_and_the_build_goes_on_later(tmp_path, monkeypatch):
    task, written = PeopleTask(SHOTS[:9]), []

    def full(descriptor):
        written.append(descriptor)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"No space left.*goes on") as caught:
            build(task, tmp_path / "out", CONFIG)
    assert "\n" not in str(caught.value)
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert not {name for name in left if name.endswith(".tmp")}
    build(task, tmp_path / "out", CONFIG)
    build(task, tmp_path / "whole", CONFIG)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_full_disk_while_shards_are_written(tmp_path, monkeypatch):
    import visagist.corpus.build.finish as finish_module

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(finish_module, "write_index", full)
        with pytest.raises(DataError, match="free some space"):
            build(PeopleTask(SHOTS[:4]), tmp_path, CONFIG)
    with pytest.raises(DataError, match="no finished corpus"):
        Corpus.open(tmp_path)
    assert build(PeopleTask(SHOTS[:4]), tmp_path, CONFIG).resumed == 2


def test_a_damaged_chunk_is_named(tmp_path, monkeypatch):
    import visagist.corpus.build.driver as driver_module

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver_module, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            build(PeopleTask(SHOTS[:4]), tmp_path, CONFIG)
    (tmp_path / "work" / "chunk-00000.json").write_text("{")
    with pytest.raises(DataError, match=r"chunk-00000.json: damaged.*delete it"):
        build(PeopleTask(SHOTS[:4]), tmp_path, CONFIG)
    (tmp_path / "work" / "chunk-00000.json").unlink()
    (tmp_path / "work" / "chunk-00001.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"chunk-00001.tar: damaged.*delete chunk-00001.json"):
        build(PeopleTask(SHOTS[:4]), tmp_path, CONFIG)


def test_nothing_kept_is_still_a_corpus(tmp_path):
    corpus = build(PeopleTask([Shot("broken.jpg", 0)]), tmp_path, CONFIG).corpus
    assert corpus.records == ()
    assert corpus.summary["counts"]["kept"] == 0
    assert corpus.select(splits=("train",)) == ()


def test_equal_names_cost_a_line(tmp_path):
    shots = [Shot("a.jpg", 1, kind="head"), Shot("b.jpg", 2), Shot("a.jpg", 3, kind="head")]
    corpus = build(PeopleTask(shots), tmp_path, CONFIG).corpus
    assert corpus.summary["counts"]["dropped"] == {"duplicate_name": 1}
    assert sorted(r.facts["looks"] for r in corpus.records) == [1, 2]


class Million(PeopleTask):
    """Lists a million pictures; nothing else is asked of it."""

    def items(self):
        for n in range(1_000_000):
            yield Item(f"people/{n}", n)


def test_a_million_items_are_listed_in_little_memory(tmp_path):
    resource = pytest.importorskip("resource")
    from visagist.corpus.build.listing import Listing

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Listing(Million(()).items(), 64, tmp_path) as listing:
        assert listing.count == 1_000_000
        assert listing.chunks == 15_625
        pending = listing.pending([15_624, 7])
        assert sum(map(len, pending.values())) == 128
        assert [item.payload for item in pending[7]][:2] == [448, 449]
        with pytest.raises(KeyError):
            pending[8]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 * 2**20  # a list of the items alone would take 150 MiB
