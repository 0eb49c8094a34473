from __future__ import annotations

import json

import pytest

from visagist.errors import MissingExtraError
from visagist.training.logs import Log, trim


def test_lines_are_written_and_later_ones_dropped_on_resume(tmp_path):
    with Log(tmp_path, 0, tensorboard=False) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": 1 / 3})
    torn = (tmp_path / "log.jsonl").read_text() + '{"step": 4, "lo'
    (tmp_path / "log.jsonl").write_text(torn)
    with Log(tmp_path, 2, tensorboard=False) as log:
        log.write(3, {"loss": 0.25})
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {"step": 1, "loss": 0.333333},
        {"step": 2, "loss": 0.333333},
        {"step": 3, "loss": 0.25},
    ]
    trim(tmp_path / "none.jsonl", 3)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_closed_log_says_so(tmp_path):
    with pytest.raises(ValueError, match="not open"):
        Log(tmp_path, 0, tensorboard=False).write(1, {})


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Log(tmp_path, 0, tensorboard=True) as log:
        for step in (1, 2):
            log.write(step, {"loss": 0.5 / step})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]


def test_tensorboard_names_its_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"visagist\[tensorboard\]"):
        Log(tmp_path, 0, tensorboard=True)
