"""A training with a network that learns against the model."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from tests.training.small_task import CONFIG, SmallTask
from visagist.training.checkpoint import load_latest
from visagist.training.loop import learning_rate, train


class Opposed(SmallTask):
    """The opponent guesses whether a value is drawn or true; it rests at first."""

    def __init__(self, *, start: int = 10, rate: float = 0.5, fails_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.opponent = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        self.opponent_rate, self.start, self.fails_at = rate, start, fails_at
        self.rates_seen: list[float] = []
        self._drawn = None

    def losses(self, model, step, generator):
        if step == self.fails_at:
            raise KeyboardInterrupt
        x = torch.rand((32, 1), generator=generator) * 2 - 1
        y = model(x)
        losses = {"mse": (y - torch.sin(3 * x)).square().mean()}
        self._drawn = None
        if step >= self.start:
            self.opponent.requires_grad_(False)
            losses["fool"] = -0.01 * self.opponent(torch.cat([x, y], 1)).mean()
            self.opponent.requires_grad_(True)
            self._drawn = torch.cat([x, y.detach()], 1), torch.cat([x, torch.sin(3 * x)], 1)
        return losses

    def opponent_losses(self, step):
        if self._drawn is None:
            return {}
        fake, real = (self.opponent(x) for x in self._drawn)
        return {"opponent": (1 - real).relu().mean() + (1 + fake).relu().mean()}


def log_of(folder):
    rows = [json.loads(x) for x in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]


def test_it_rests_and_then_learns(tmp_path):
    resting = Opposed(start=1000)
    before = {k: v.clone() for k, v in resting.opponent.state_dict().items()}
    train(resting, CONFIG, tmp_path / "resting")
    assert all(torch.equal(before[k], v) for k, v in resting.opponent.state_dict().items())
    task = Opposed()
    train(task, CONFIG, tmp_path / "awake")
    assert not torch.equal(before["0.weight"], task.opponent.state_dict()["0.weight"])
    log = log_of(tmp_path / "awake")
    assert "opponent" not in log[0]
    assert "opponent" in log[-2]


def test_a_resting_opponent_leaves_the_training_as_it_was(tmp_path):
    a = train(SmallTask(), CONFIG, tmp_path / "alone").state_dict()
    b = train(Opposed(start=1000), CONFIG, tmp_path / "resting").state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_it_goes_on_bit_for_bit(tmp_path):
    whole = train(Opposed(), CONFIG, tmp_path / "whole").state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(Opposed(fails_at=37), CONFIG, tmp_path / "cut")
    cut = train(Opposed(), CONFIG, tmp_path / "cut", resume=True).state_dict()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    one, other = (load_latest(tmp_path / name / "checkpoints")[1] for name in ("whole", "cut"))
    assert all(torch.equal(v, other["opponent"][k]) for k, v in one["opponent"].items())


def test_its_learning_rate_is_a_share_of_the_models(tmp_path, monkeypatch):
    task = Opposed(start=0, rate=0.25)
    seen = []
    step = torch.optim.AdamW.step

    def noting(self, *args, **kwargs):
        own = {id(p) for p in task.opponent.parameters()}
        if id(self.param_groups[0]["params"][0]) in own:
            seen.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", noting)
    train(task, CONFIG, tmp_path)
    assert seen == pytest.approx([0.25 * learning_rate(s, CONFIG) for s in range(CONFIG.steps)])
