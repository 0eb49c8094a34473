from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.several import CONFIG, DividedTask
from visagist.errors import ConfigError
from visagist.training import parallel
from visagist.training.checkpoint import load_latest
from visagist.training.loop import step_seed, train
from visagist.training.parallel import Part

ROOT = Path(__file__).parents[2]


def log_of(folder: Path) -> list[dict]:
    lines = [json.loads(x) for x in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "per_second" not in k} for line in lines]


def torchrun(module: str, *arguments: str) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", module, *arguments]
    more = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo is for POSIX")
def test_two_processes_learn_what_one_does(tmp_path):
    torchrun("tests.training.several", str(tmp_path))
    one = train(DividedTask(), CONFIG, tmp_path / "one")
    wanted = log_of(tmp_path / "one")
    for name in ("ddp", "ddp-parts", "fsdp"):
        found = log_of(tmp_path / name)
        assert [line["step"] for line in found] == [line["step"] for line in wanted]
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=2e-6)
        step, state = load_latest(tmp_path / name / "checkpoints")
        assert step == CONFIG.steps
        for key, value in one.state_dict().items():
            assert torch.allclose(state["ema"][key], value, atol=1e-5)
        assert float(state["companion follower"]["gain"]) == CONFIG.steps
        _, kept = load_latest(tmp_path / name / "averages" / "1")
        assert kept["gamma"] == 4.0
        assert kept["model"]["gain"].dtype == torch.float16
    whole, broken = (
        load_latest(tmp_path / name / "checkpoints")[1] for name in ("whole", "broken")
    )
    for key, value in whole["model"].items():
        assert torch.equal(value, broken["model"][key])
    assert log_of(tmp_path / "whole") == [
        line for line in log_of(tmp_path / "broken") if line["step"] != 6 or "val_mse" not in line
    ]


@pytest.mark.parametrize("accumulate", [2, 4])
def test_parts_in_turn_are_the_whole_batch(tmp_path, accumulate):
    one = train(DividedTask(), CONFIG, tmp_path / "one")
    task = DividedTask()
    parts = train(task, CONFIG.model_copy(update={"accumulate": accumulate}), tmp_path / "parts")
    for a, b in zip(one.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert sorted(i for r in task.seen[:accumulate] for i in r) == list(range(32))
    for ours, theirs in zip(log_of(tmp_path / "parts"), log_of(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=2e-6)


def test_parts_cover_a_batch_once():
    for count in (1, 2, 4):
        cuts = [Part(i, count).cut(24, block=3) for i in range(count)]
        assert [i for cut in cuts for i in cut] == list(range(24))
    with pytest.raises(ConfigError, match="multiple of 15"):
        Part(0, 5).cut(24, block=3)


def test_parts_have_seeds_of_their_own():
    assert step_seed(3, 7) == step_seed(3, 7, 0) == 3 * 1_000_003 + 7
    seeds = {step_seed(s, k, p) for s in range(3) for k in range(20) for p in range(8)}
    assert len(seeds) == 480
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_one_process_alone():
    x = torch.randn(3, requires_grad=True)
    assert parallel.sum_over_processes(x) is x
    assert not parallel.gather_over_processes(x).requires_grad
    assert (parallel.rank(), parallel.world_size()) == (0, 1)
    with parallel.joined_processes() as device:
        assert device.type in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="torchrun"):
        parallel.shard(DividedTask().model)
