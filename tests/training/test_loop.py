from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.small_task import CONFIG, SmallTask
from visagist.errors import ConfigError, DataError, DivergedError, NoMemoryError
from visagist.training.checkpoint import load_latest
from visagist.training.ema import PowerEma
from visagist.training.loop import LoopConfig, learning_rate, parameter_groups, train

ROOT = Path(__file__).parents[2]


def log_of(folder: Path) -> list[dict]:
    """Log lines without the field that depends on the clock."""
    lines = [json.loads(x) for x in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_learning_rate():
    config = LoopConfig(steps=110, warmup=10, lr=2.0, lr_floor=0.1)
    assert [learning_rate(s, config) for s in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert learning_rate(10, config) == pytest.approx(2.0)
    assert learning_rate(60, config) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert learning_rate(35, config) == pytest.approx(
        2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    )
    assert learning_rate(110, config) == learning_rate(500, config) == pytest.approx(0.2)


def test_learning_rate_stairs():
    config = LoopConfig(steps=100, warmup=10, lr=2.0, lr_stairs=((40, 0.5), (60, 0.1)))
    assert [learning_rate(s, config) for s in (4, 10, 39, 40, 59, 60, 99)] == pytest.approx(
        [1.0, 2.0, 2.0, 0.5, 0.5, 0.1, 0.1]
    )


def test_memory_that_is_short_names_the_knobs(tmp_path):
    class Greedy(SmallTask):
        def losses(self, model, step, generator):
            torch.empty(1 << 60)

    with pytest.raises(NoMemoryError, match=r"accumulate \(1\)"):
        train(Greedy(), CONFIG, tmp_path)


@pytest.mark.parametrize("clip_from", [0, 1000])
def test_clipping_begins_where_it_is_said(tmp_path, clip_from):
    tight = CONFIG.model_copy(update={"clip": 1e-12, "clip_from": clip_from, "weight_decay": 0.0})
    eps = 1e-8  # of Adam: gradients far below it move nothing
    before = SmallTask().model.state_dict()
    train(task := SmallTask(), tight, tmp_path)
    moved = max(
        float((task.model.state_dict()[k] - v).abs().max()) for k, v in before.items() if "w" in k
    )
    assert (moved < 1e3 * eps) == (clip_from == 0)


def test_the_network_is_compiled_once_at_static_shapes(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **how: compiled.append((self, how)))
    task = SmallTask()
    train(task, CONFIG.model_copy(update={"compile": True}), tmp_path)
    assert compiled == [(task.model, {"dynamic": False})]


def test_biases_and_gains_do_not_decay():
    decayed, free = parameter_groups(SmallTask().model, 0.3)
    assert [p.ndim for p in decayed["params"]] == [2, 2]
    assert {p.ndim for p in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)


def test_average_is_its_closed_form():
    """theta_ema(t) = sum_s w_s theta_s with w_s = (1 - beta_s) prod_{r > s} beta_r."""
    model = nn.Linear(1, 1, bias=False)
    ema = PowerEma(model, gamma=3.0)
    values = [0.3, -1.0, 2.0, 5.0, 4.0]
    for step, value in enumerate(values, 1):
        nn.init.constant_(model.weight, value)
        ema.update(model, step)
    beta = [(1 - 1 / t) ** 4 for t in range(1, 6)]
    weights = [(1 - beta[s]) * math.prod(beta[s + 1 :]) for s in range(5)]
    assert sum(weights) == pytest.approx(1)
    expected = sum(w * v for w, v in zip(weights, values, strict=True))
    assert ema.model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_it_learns_and_reports(tmp_path):
    seen = []
    averaged = train(SmallTask(), CONFIG, tmp_path, progress=lambda step, _: seen.append(step))
    log = log_of(tmp_path)
    assert log[-1]["val_mse"] < 0.5 * log[0]["mse"]
    assert seen == [line["step"] for line in log]
    assert [line["step"] for line in log if "val_mse" in line] == [20, 40, 60]
    assert not averaged.training
    assert load_latest(tmp_path / "checkpoints")[0] == 60


def test_a_second_run_needs_resume(tmp_path):
    first = train(SmallTask(), CONFIG, tmp_path)
    with pytest.raises(ConfigError, match="--resume"):
        train(SmallTask(), CONFIG, tmp_path)
    again = train(SmallTask(), CONFIG, tmp_path, resume=True)
    assert same(first.state_dict(), again.state_dict())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    train(SmallTask(), CONFIG, tmp_path)
    other = SmallTask()
    other.model = nn.Linear(1, 1)
    with pytest.raises(DataError, match="another configuration"):
        train(other, CONFIG, tmp_path, resume=True)


@pytest.mark.parametrize("log_every", [5, 1000])
def test_divergence_stops_and_keeps_the_last_good_checkpoint(tmp_path, log_every):
    config = CONFIG.model_copy(update={"log_every": log_every})
    with pytest.raises(DivergedError, match="not finite"):
        train(SmallTask(poison=33), config, tmp_path)
    step, state = load_latest(tmp_path / "checkpoints")
    assert step == 30
    note = json.loads((tmp_path / "diverged.json").read_text())
    assert note["step"] in (35, 40)
    assert note["numbers"]["mse"] == "nan"
    assert "step-000000030.ckpt" in note["checkpoints"]
    assert all(torch.isfinite(v).all() for v in state["model"].values())
    train(SmallTask(), config, tmp_path, resume=True)


def start(folder: Path) -> subprocess.Popen:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-m", "tests.training.small_task", str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.PIPE
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_and_resumed_is_the_unbroken_run_bit_for_bit(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    running = start(broken)
    unbroken = train(SmallTask(), CONFIG, whole)
    deadline = time.monotonic() + 200
    while not list(broken.glob("checkpoints/step-*20.ckpt")) and time.monotonic() < deadline:
        assert running.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)  # somewhere between two checkpoints
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    reached, _ = load_latest(broken / "checkpoints")
    assert 20 <= reached < 60
    resumed = train(SmallTask(), CONFIG, broken, resume=True)
    assert same(unbroken.state_dict(), resumed.state_dict())
    first, second = (load_latest(f / "checkpoints") for f in (whole, broken))
    assert first[0] == second[0] == 60
    assert same(first[1]["model"], second[1]["model"])
    assert log_of(whole) == log_of(broken)


def test_denormal_numbers_are_flushed_while_training_and_not_afterwards(tmp_path):
    tiny = torch.tensor(1e-39)

    class Watching(SmallTask):
        def losses(self, model, step, generator):
            seen.append(float(tiny * 1))
            return super().losses(model, step, generator)

    seen = []
    train(Watching(), CONFIG, tmp_path / "run")
    assert seen and not any(seen)
    assert float(tiny * 1) > 0
