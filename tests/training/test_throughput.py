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


@pytest.mark.parametrize("amx", [False, True])
def test_bf16_is_taken_where_the_processor_has_units_for_it(monkeypatch, amx):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    cpu = torch.device("cpu")
    assert throughput.uses_bf16("auto", cpu) is amx
    assert throughput.uses_bf16(True, cpu) is True
    assert throughput.uses_bf16(False, cpu) is False


def test_a_gpu_needs_to_be_new_enough(monkeypatch):
    gpu = torch.device("cuda", 0)
    for capability, wanted in [((7, 5), False), ((8, 0), True), ((9, 0), True)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda d, c=capability: c)
        assert throughput.uses_bf16("auto", gpu) is wanted
