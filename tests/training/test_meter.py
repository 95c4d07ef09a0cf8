"""Memory is the trial's own."""

from __future__ import annotations

import sys

import pytest
import torch

from peftsearch.training.meter import PeakMemory, clock, device_name

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's high-water mark can be reset on Linux only")
def test_an_earlier_peak_does_not_count() -> None:
    torch.ones(100 * 1024 * 1024 // 4).sum()
    memory = PeakMemory(CPU)
    torch.ones(30 * 1024 * 1024 // 4).sum()
    assert 25 < memory.read() < 60


def test_the_clock_goes_on() -> None:
    assert clock(CPU) <= clock(CPU)


@pytest.mark.parametrize(("threads", "said"), [(1, " (1 thread)"), (2, " (2 threads)")])
def test_a_device_says_how_many_threads_compute(threads: int, said: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert device_name(CPU).endswith(said)
    finally:
        torch.set_num_threads(before)
