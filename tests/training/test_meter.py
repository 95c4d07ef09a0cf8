"""Memory and seconds are the trial's own, whatever else the machine does."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from peftsearch.training.meter import PeakMemory, Seconds, clock, clock_of, device_name

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's high-water mark can be reset on Linux only")
def test_an_earlier_peak_does_not_count() -> None:
    torch.ones(100 * 1024 * 1024 // 4).sum()
    memory = PeakMemory(CPU)
    torch.ones(30 * 1024 * 1024 // 4).sum()
    assert 25 < memory.read() < 60


BLOCK = bytes(2**20)


def took(work: Callable[[], object]) -> Seconds:
    started = clock(CPU)
    work()
    return clock(CPU) - started


def compute(blocks: int = 20) -> None:
    """Hashing holds no lock of Python's, so other threads can do it at the same time."""
    for _ in range(blocks):
        hashlib.sha256(BLOCK).digest()


def test_on_a_cpu_waiting_takes_wall_time_only_and_computing_takes_both() -> None:
    waited, computed = took(lambda: time.sleep(0.3)), took(compute)
    assert waited.seconds < 0.05 < 0.3 <= waited.wall
    assert 0.002 < computed.seconds < computed.wall + 0.01


def test_busy_neighbours_change_the_wall_clock_and_not_the_seconds() -> None:
    """Four times as many busy threads as cores: a wall clock would show about five times the seconds."""
    neighbours, enough = 4 * (os.cpu_count() or 1), Event()

    def be_busy() -> None:
        while not enough.is_set():
            compute(1)

    alone = min(took(compute).seconds for _ in range(3))
    with ThreadPoolExecutor(neighbours) as threads:
        for _ in range(neighbours):
            threads.submit(be_busy)
        beside = min(took(compute).seconds for _ in range(3))
        enough.set()
    assert beside < 3 * alone


def test_a_gpu_is_timed_by_the_wall_clock_once_it_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: time.sleep(0.2))
    gpu = torch.device("cuda")
    started = time.perf_counter()
    read = clock(gpu)
    assert read.seconds == read.wall >= started + 0.2
    assert (clock_of(gpu), clock_of(CPU)) == ("wall", "processor")


@pytest.mark.parametrize(("threads", "said"), [(1, " (1 thread)"), (2, " (2 threads)")])
def test_a_device_says_how_many_threads_compute(threads: int, said: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert device_name(CPU).endswith(said)
    finally:
        torch.set_num_threads(before)
