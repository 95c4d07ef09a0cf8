"""The number formats that a device computes in."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

TF32 = ("tf32", "bf16")
"""Formats in which fp32 matrix products run in TF32, where the GPU has it (compute capability 8.0 or above)."""


def formats_of(device: torch.device) -> tuple[str, ...]:
    """The number formats worth trying on this device: fp32 and those that may be faster, the most exact first."""
    if device.type == "cuda":
        recent = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("fp32", "tf32", "bf16") if recent else ("fp32", "fp16")
    return ("fp32", "bf16") if device.type == "cpu" and cpu_has_bf16() else ("fp32",)


@contextmanager
def in_number_format(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in this number format as the Trainer does; restores torch's TF32 flags at the end."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision in TF32
    try:
        with torch.autocast(device.type, dtype, enabled=precision in ("bf16", "fp16")):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor has bf16 instructions, so that torch need not emulate them; Linux only, else False."""
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.exists():
        return False
    flags = {
        word
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.startswith(("flags", "Features"))
        for word in line.split()
    }
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
