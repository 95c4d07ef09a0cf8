"""The GPUs and CPU cores of this machine that workers share, found without importing torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class GpuUsage:
    """What all processes together use of one GPU.

    Attributes:
        utilisation: the share of the last sampling period, at most a second, in which a kernel ran; 0 … 1.
        used_memory: in bytes.
        total_memory: in bytes.
    """

    utilisation: float
    used_memory: int
    total_memory: int


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that may be used, named as in `CUDA_VISIBLE_DEVICES`: by index or UUID. Empty without a GPU."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [] if "-1" in names else [name for name in names if name]
    return [str(index) for index in range(_count())]


def default_workers(per_device: int) -> int:
    """The number of workers with so many for each GPU, or for the CPU where there is no GPU."""
    return max(1, len(gpus())) * per_device


def cores() -> list[int]:
    """The CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def share(items: list[int], workers: int, index: int) -> list[int]:
    """The part of `items` for the worker `index`.

    The parts are disjoint, and their sizes differ by one at most. With more workers than items, each gets one item.

    >>> share([0, 1, 2, 3, 4], workers=2, index=1)
    [3, 4]
    """
    if workers > len(items):
        return [items[index % len(items)]]
    size, rest = divmod(len(items), workers)
    start = index * size + min(index, rest)
    return items[start : start + size + (index < rest)]


def gpu_usage(names: Sequence[str]) -> list[GpuUsage]:
    """The usage of each of the GPUs.

    Args:
        names: indices in PCI order, or UUIDs, as `gpus` returns them.

    Returns:
        One item for each name; none at all if the driver does not tell it for one of them, as for a MIG instance.
    """
    import pynvml

    try:
        with _nvml():
            return [_usage_of(name) for name in names]
    except pynvml.NVMLError:
        return []


def _usage_of(name: str) -> GpuUsage:
    import pynvml

    handle = (
        pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else pynvml.nvmlDeviceGetHandleByUUID(name)
    )
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return GpuUsage(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, memory.used, memory.total)


def _count() -> int:
    """How many GPUs the driver knows; none without a driver."""
    import pynvml

    try:
        with _nvml():
            count: int = pynvml.nvmlDeviceGetCount()
            return count
    except pynvml.NVMLError:
        return 0


@contextmanager
def _nvml() -> Iterator[None]:
    import pynvml

    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()
