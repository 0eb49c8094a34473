from __future__ import annotations

import pytest
import torch

from visagist.training import throughput


def test_the_peak_is_operations_over_the_best_time(monkeypatch):
    """A clock on which the six products take 3, 2, 5, 2, 4 and 2 seconds."""
    ticks = iter([0, 3, 3, 5, 5, 10, 10, 12, 12, 16, 16, 18])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: float(next(ticks)))
    found = throughput.matmul_peak(torch.device("cpu"), bf16=False, side=8)
    assert found == pytest.approx(2 * 8**3 / 2)


@pytest.mark.parametrize("bf16", [False, True])
def test_this_machine_has_a_peak(bf16):
    assert throughput.matmul_peak(torch.device("cpu"), bf16=bf16, side=64) > 1e6
