from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.makeup.fakes import FakeMakeup
from visagist.errors import NoFaceError, PhotoError, PhotoWriteError
from visagist.makeup.batch import Settings, compare_path, run_batch, run_one
from visagist.photo import Photo
from visagist.photo.batch import Job

MakePhoto = Callable[..., Path]


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """A good photo, a broken one, one without a face, another good one."""
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    Photo.from_array(noise).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a photo")
    Photo.from_array(np.full((12, 16, 3), 90, np.uint8)).save(tmp_path / "c.png")
    Photo.from_array(noise[::-1].copy()).save(tmp_path / "d.png")
    return [Job(tmp_path / name, tmp_path / "out" / name) for name in
            ("a.png", "b.png", "c.png", "d.png")]  # fmt: skip


def statuses(engine: FakeMakeup, jobs: list[Job], settings: Settings) -> list[str]:
    return [outcome.status for outcome in run_batch(engine, jobs, settings)]


def test_one_photo(jobs: list[Job]) -> None:
    engine = FakeMakeup()
    outcome = run_one(engine, jobs[0], Settings(style="smoky", lips=0.5, faces="largest"))
    assert outcome.status == "done"
    assert (outcome.faces, set(outcome.timings)) == (1, {"decode", "detect", "network", "encode"})
    assert (Photo.open(jobs[0].target).pixels[..., 0] == 255).all()
    assert engine.calls == [
        {"style": "smoky", "intensity": 1.0, "lips": 0.5, "eyes": 1.0, "skin": 1.0,
         "mix": None, "faces": "largest"}
    ]  # fmt: skip


def test_a_bad_photo_spoils_only_itself(jobs: list[Job]) -> None:
    outcomes = list(run_batch(FakeMakeup(), jobs, Settings()))
    assert [o.status for o in outcomes] == ["done", "failed", "no-face", "done"]
    assert [o.error for o in outcomes] == ["", "PhotoFormatError", "NoFaceError", ""]
    assert sorted(p.name for p in (jobs[0].target.parent).iterdir()) == ["a.png", "d.png"]
    assert outcomes[1].as_dict()["error"]["type"] == "PhotoFormatError"


def test_the_same_call_goes_on_where_it_stopped(jobs: list[Job]) -> None:
    engine = FakeMakeup()
    batch = run_batch(engine, jobs, Settings())
    next(batch)
    batch.close()
    assert statuses(engine, jobs, Settings()) == ["skipped", "failed", "no-face", "done"]
    assert statuses(engine, jobs, Settings()) == ["skipped", "failed", "no-face", "skipped"]
    assert statuses(engine, jobs, Settings(overwrite=True))[0] == "done"


def test_results_are_kept_unless_asked(jobs: list[Job]) -> None:
    jobs[0].target.parent.mkdir()
    jobs[0].target.write_bytes(b"mine")
    assert statuses(FakeMakeup(), jobs[:1], Settings()) == ["skipped"]
    assert jobs[0].target.read_bytes() == b"mine"
    assert statuses(FakeMakeup(), jobs[:1], Settings(overwrite=True)) == ["done"]
    assert jobs[0].target.read_bytes() != b"mine"


def test_compare_is_written_beside_the_result_and_finished_on_resume(jobs: list[Job]) -> None:
    settings = Settings(compare=True)
    run_one(FakeMakeup(), jobs[0], settings)
    sheet = compare_path(jobs[0].target)
    assert sheet.name == "a-compare.png"
    assert Photo.open(sheet).width > 2 * 16
    sheet.unlink()
    assert statuses(FakeMakeup(), jobs[:1], settings) == ["done"]
    assert sheet.exists()
    assert statuses(FakeMakeup(), jobs[:1], settings) == ["skipped"]


def test_single_errors_come_through_and_leave_nothing(jobs: list[Job]) -> None:
    with pytest.raises(PhotoError):
        run_one(FakeMakeup(), jobs[1], Settings())
    with pytest.raises(NoFaceError):
        run_one(FakeMakeup(), jobs[2], Settings())
    assert not jobs[0].target.parent.exists()


def test_a_folder_that_cannot_be_made(jobs: list[Job], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PhotoWriteError, match="cannot make the folder"):
        run_one(FakeMakeup(), Job(jobs[0].source, tmp_path / "file" / "a.png"), Settings())


def test_label_names_the_mix() -> None:
    assert Settings(mix={"smoky": 0.4, "rosewood": 0.6}).label == "smoky+rosewood"
    assert Settings(mix={"smoky": 0.4}).weights == {"smoky": 0.4}
    assert Settings(style="smoky").weights == {"smoky": 1.0}
