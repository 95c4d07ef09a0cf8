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


def test_clock_and_name() -> None:
    assert clock(CPU) <= clock(CPU)
    assert device_name(CPU).endswith("threads)")
