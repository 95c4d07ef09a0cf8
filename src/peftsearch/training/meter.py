"""Measures the time and memory of one trial, undisturbed by earlier trials of the same process."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from peftsearch.core.measurement import MIB, Clock


@dataclass(frozen=True)
class Seconds:
    """A time on both clocks: a reading, or what lies between two of them.

    Attributes:
        seconds: on the clock of the device (`clock_of`).
        wall: on the wall clock.
    """

    seconds: float = 0.0
    wall: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.seconds + other.seconds, self.wall + other.wall)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.seconds - other.seconds, self.wall - other.wall)


def clock_of(device: torch.device) -> Clock:
    """The clock by which work on `device` is timed.

    On a CPU it is the processor time of the thread that trains. A thread that waits, for the other threads of an
    operation, for a file or for a core that another program has, spends none. So these seconds are what the work takes
    on a quiet machine, whether or not it is quiet, and work that uses one thread only is charged in full. torch runs
    forward, backward and step in the calling thread, which computes an equal share of each operation. Threads must not
    spin while they wait, which `workers.local.worker_environment` sees to.

    A GPU has no such clock, so there it is the wall clock.
    """
    return "wall" if device.type == "cuda" else "processor"


def clock(device: torch.device) -> Seconds:
    """Read the clocks after the device has finished its queue; both readings must be taken by the same thread."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    wall = time.perf_counter()
    return Seconds(time.thread_time() if clock_of(device) == "processor" else wall, wall)


def device_name(device: torch.device, threads: int | None = None) -> str:
    """The GPU's name, such as `NVIDIA H100 80GB HBM3`, or the CPU's model and the number of threads used.

    Args:
        threads: the CPU threads; by default as many as torch computes with.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = threads or torch.get_num_threads()
    return f"{processor()} ({threads} thread{'s' if threads > 1 else ''})"


def processor() -> str:
    """The CPU's model on Linux, else `CPU`."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in _lines(info) if line.startswith("model name")]
    return models[0] if models else "CPU"


class PeakMemory:
    """The peak memory since construction, in MiB.

    On a GPU it is the peak of torch's allocator, whose cache is emptied first. On a CPU it is how far the process's
    resident memory rose above its size at construction.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._earlier = 0.0
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _give_back_free_memory()
            self.start = _reset_resident_peak()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside does not count."""
        self._earlier = self.read()
        yield
        self.forget()

    def forget(self) -> None:
        """Do not count how much it was since it was last read."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _reset_resident_peak()

    def read(self) -> float:
        return max(self._earlier, self._now())

    def _now(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / MIB
        return max(0.0, _resident_peak() - self.start)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a device or the host. The CPU allocator's error is only known by its text."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "out of memory" in text.lower()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _give_back_free_memory() -> None:
    """Return freed pages from glibc to the system: a trial that reused them would seem to need no memory."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return


def _reset_resident_peak() -> float:
    """Reset the kernel's high-water mark of resident memory (Linux, proc(5)), and return the MiB resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return _resident_peak()
    return float(psutil.Process().memory_info().rss) / MIB


def _resident_peak() -> float:
    marks = [line.split()[1] for line in _lines(Path("/proc/self/status")) if line.startswith("VmHWM")]
    if marks:
        return int(marks[0]) / 1024
    import resource

    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
