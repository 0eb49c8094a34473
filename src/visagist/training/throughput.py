"""What a machine can do at most, so that a rate of steps can be judged."""

from __future__ import annotations

import time
from typing import Literal

import torch


def uses_bf16(asked: bool | Literal["auto"], device: torch.device) -> bool:
    """Whether a recipe's ``bf16`` means bfloat16 on this device.

    ``auto`` takes it where matrix units compute in it: GPUs from Ampere on, processors with AMX.
    AVX-512's bfloat16 alone is slower than float32 once the conversions are counted.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def matmul_peak(device: torch.device, *, bf16: bool, side: int | None = None) -> float:
    """Floating point operations a second of a large matrix product; the best of a few.

    Args:
        device: to measure; on the processor, with torch's current number of threads.
        bf16: in bfloat16 instead of float32.
        side: of the square matrices; by default large enough to fill the device.
    """
    side = side or (8192 if device.type == "cuda" else 1024)
    kind = torch.bfloat16 if bf16 else torch.float32
    a = torch.ones((side, side), device=device, dtype=kind)
    best = float("inf")
    for _ in range(6):
        _finish(device)
        began = time.perf_counter()
        a @ a
        _finish(device)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
