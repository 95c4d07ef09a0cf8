"""What workers share of this machine: its GPUs and its cores, told without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What one GPU does, for all processes together.

    Attributes:
        busy: share of the last second or less in which any kernel ran.
    """

    busy: float
    used_mib: float
    total_mib: float


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The CUDA devices that may be used, as `CUDA_VISIBLE_DEVICES` names them; empty without a GPU."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [] if "-1" in names else [name for name in names if name]
    return [str(index) for index in range(_count())]


def default_workers(per_device: int) -> int:
    """So many for each GPU, or for the CPU where there is none."""
    return max(1, len(gpus())) * per_device


def cores() -> list[int]:
    """The CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def share(items: list[int], workers: int, index: int) -> list[int]:
    """The part of `items` that worker `index` gets: disjoint and as equal as can be; one each where they are too few.

    >>> share([0, 1, 2, 3, 4], workers=2, index=1)
    [3, 4]
    """
    if workers > len(items):
        return [items[index % len(items)]]
    size, rest = divmod(len(items), workers)
    start = index * size + min(index, rest)
    return items[start : start + size + (index < rest)]


def usage(names: list[str]) -> list[Usage]:
    """Of the GPUs of those `names`, in nvidia-smi's order; empty if it does not tell, as for a part of one (MIG)."""
    query = ["--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]
    rows = [line.split(",") for line in _nvidia_smi(*query, "-i", ",".join(names)).splitlines()]
    try:
        return [Usage(int(busy) / 100, float(used), float(total)) for busy, used, total in rows]
    except ValueError:
        return []


def _count() -> int:
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L").splitlines())


def _nvidia_smi(*arguments: str) -> str:
    """What it says; nothing where it is missing or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        said = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return said.stdout
