"""GPUs are watched, and get one worker more for as long as they have room."""

from __future__ import annotations

import pytest

from peftsearch.workers.devices import GpuUsage
from peftsearch.workers.gpu_packing import MAX_WORKERS, SAMPLE_SECONDS, SAMPLES, GpuPacking

MIB = 2**20
TOTAL = 80_000 * MIB


class Gpu:
    """Each worker adds so much utilisation and memory in MiB; other processes hold the rest."""

    def __init__(self, utilisation: float, mib: int, others: int = 500) -> None:
        self.utilisation, self.mib, self.others = utilisation, mib, others
        self.workers = 0

    def usage(self) -> GpuUsage:
        memory = (self.others + self.mib * self.workers) * MIB
        return GpuUsage(min(1.0, self.utilisation * self.workers), memory, TOTAL)


def packed(*gpus: Gpu, cores: int = 16, samples: int = 10 * SAMPLES, idle_of: int = 0) -> GpuPacking:
    """After so many samples, with all workers training but `idle_of` them."""
    packing = GpuPacking([str(index) for index in range(len(gpus))], cores, lambda names: [gpu.usage() for gpu in gpus])
    for sample in range(samples):
        for gpu in gpus:
            gpu.workers = packing.per_device
        packing.sample(packing.workers - idle_of, sample * SAMPLE_SECONDS)
    return packing


@pytest.mark.parametrize(
    ("utilisation", "mib", "workers"),
    [
        (0.30, 1_400, 3),  # MiniLM on an H100
        (0.40, 1_400, 2),
        (0.50, 1_400, 1),
        (0.05, 1_400, MAX_WORKERS),
        (0.05, 27_000, 1),  # twice what one takes would not fit beside it
        (0.05, 20_000, 2),
    ],
)
def test_workers_come_while_time_and_memory_last(utilisation: float, mib: int, workers: int) -> None:
    assert packed(Gpu(utilisation, mib)).per_device == workers


def test_no_more_come_than_there_are_cores_to_feed_them() -> None:
    assert packed(Gpu(0.05, 1_400), cores=2).per_device == 2
    assert packed(Gpu(0.05, 1_400), Gpu(0.05, 1_400), cores=4).per_device == 2
    assert packed(Gpu(0.05, 1_400), Gpu(0.05, 1_400), cores=1).workers == 2


def test_the_fullest_gpu_decides_for_all() -> None:
    packing = packed(Gpu(0.05, 1_400), Gpu(0.6, 1_400))
    assert (packing.per_device, packing.workers) == (1, 2)


def test_memory_that_others_hold_is_not_a_workers() -> None:
    assert packed(Gpu(0.05, 10_000, others=45_000)).per_device == 2
    assert packed(Gpu(0.05, 1_000, others=78_500)).per_device == 1


def test_it_takes_some_time_of_all_workers_training() -> None:
    assert packed(Gpu(0.05, 1_400), samples=SAMPLES - 1).per_device == 1
    assert packed(Gpu(0.05, 1_400), samples=SAMPLES).per_device == 2
    assert packed(Gpu(0.05, 1_400), idle_of=1).per_device == 1


def test_a_worker_that_starts_begins_the_watch_anew() -> None:
    gpu = Gpu(0.05, 1_400)
    packing = GpuPacking(["0"], 16, lambda names: [gpu.usage()])
    gpu.workers = 1
    for sample in range(2 * SAMPLES - 1):
        packing.sample(0 if sample == SAMPLES - 1 else 1, sample * SAMPLE_SECONDS)
    assert packing.per_device == 1
    packing.sample(1, 2 * SAMPLES * SAMPLE_SECONDS)
    assert packing.per_device == 2


def test_looks_lie_apart() -> None:
    looks = []

    def usage(names: list[str]) -> list[GpuUsage]:
        looks.append(names)
        return [GpuUsage(1.0, 0, TOTAL)]

    packing = GpuPacking(["0"], 16, usage)
    for half_seconds in range(int(6 * SAMPLE_SECONDS)):
        packing.sample(1, half_seconds / 2)
    assert looks == [["0"]] * (1 + 3)


@pytest.mark.parametrize("silent_at", [0, SAMPLES // 2])
def test_a_gpu_that_tells_nothing_has_one_worker(silent_at: int) -> None:
    calls = iter(range(10_000))
    packing = GpuPacking(
        ["0"], 16, lambda names: [] if next(calls) % SAMPLES == silent_at else [GpuUsage(0.0, 0, TOTAL)]
    )
    for sample in range(10 * SAMPLES):
        packing.sample(1, sample * SAMPLE_SECONDS)
    assert packing.per_device == 1


def test_a_gpu_that_gets_busier_gets_no_more() -> None:
    gpu = Gpu(0.05, 1_400)
    packing = GpuPacking(["0"], 16, lambda names: [gpu.usage()])
    for sample in range(10 * SAMPLES):
        gpu.workers = packing.per_device
        gpu.utilisation = 0.05 if packing.per_device == 1 else 0.45
        packing.sample(packing.workers, sample * SAMPLE_SECONDS)
    assert packing.per_device == 2
