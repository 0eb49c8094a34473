from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.small_task import CONFIG, SmallTask
from visagist.errors import DataError
from visagist.training.averages import average_afterwards
from visagist.training.ema import PowerEma, gamma_of
from visagist.training.loop import train

KEPT = CONFIG.model_copy(update={"ema_gamma": 16.97, "ema_second": 6.94, "average_every": 10})


class Watched(SmallTask):
    """Keeps an average of its own, as a run would that had been asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.companions: dict[str, nn.Module] = {}
        self.wished = PowerEma(self.model, gamma=gamma_of(0.08))

    def after_step(self, step: int) -> None:
        self.wished.update(self.model, step)


def test_an_average_is_found_that_was_not_kept(tmp_path):
    task = Watched()
    kept = train(task, KEPT, tmp_path)
    found = average_afterwards(tmp_path, 0.08)
    exact = task.wished.model.state_dict()
    assert found.keys() == exact.keys()
    for name, value in exact.items():
        if value.is_floating_point() and "running" not in name:
            spread = float((value - kept.state_dict()[name]).abs().max())
            assert float((found[name] - value).abs().max()) < 0.35 * spread + 2e-3
    other = nn.Module.load_state_dict(SmallTask().model, found)
    assert not other.missing_keys


def test_a_stored_average_is_found_as_itself(tmp_path):
    averaged = train(SmallTask(), KEPT, tmp_path)
    found = average_afterwards(tmp_path, 0.05)
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            # half precision is what is stored
            assert torch.allclose(found[name], value, atol=2e-3)
    earlier = average_afterwards(tmp_path, 0.05, step=30)
    assert any(not torch.allclose(found[n], earlier[n], atol=2e-3) for n in found)


def test_what_is_not_there_is_said(tmp_path):
    train(SmallTask(), CONFIG, tmp_path / "none")
    with pytest.raises(DataError, match="average_every"):
        average_afterwards(tmp_path / "none", 0.1)
    train(SmallTask(), KEPT, tmp_path / "some")
    with pytest.raises(DataError, match="at or after step 1000"):
        average_afterwards(tmp_path / "some", 0.1, step=1000)
    with pytest.raises(ValueError, match="sigma_rel"):
        average_afterwards(tmp_path / "some", 0.5)
    path = tmp_path / "some" / "averages" / "0" / "step-000000030.ckpt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="is damaged"):
        average_afterwards(tmp_path / "some", 0.1)
