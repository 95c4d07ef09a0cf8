"""Which number format a trial computes in."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

PRECISIONS = ("auto", "bf16", "fp16", "fp32")


def choose_precision(asked: str, device: torch.device) -> str:
    """`asked`, or for `auto`: bf16 where the device has it natively, fp16 with scaling on older GPUs, else fp32.

    A CPU without native bf16 emulates it many times slower, so only the processor's own flag counts.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """As the Trainer's, for a forward pass outside it."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


@cache
def _cpu_has_bf16() -> bool:
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.exists():
        return False
    flags = {
        word
        for line in info.read_text().splitlines()
        if line.startswith(("flags", "Features"))
        for word in line.split()
    }
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
