"""GPUs are watched, and get one worker more for as long as they have room."""

from __future__ import annotations

import pytest

from peftsearch.workers.devices import Usage
from peftsearch.workers.gpu_packing import EVERY_SECONDS, LOOKS, MOST, Packing

TOTAL = 80_000.0


class Gpu:
    """Each worker keeps it busy for that share of the time and takes that memory; others hold the rest."""

    def __init__(self, busy: float, mib: float, others: float = 500.0) -> None:
        self.busy, self.mib, self.others = busy, mib, others
        self.workers = 0

    def usage(self) -> Usage:
        return Usage(min(1.0, self.busy * self.workers), self.others + self.mib * self.workers, TOTAL)


def packed(*gpus: Gpu, cores: int = 16, looks: int = 10 * LOOKS, idle_of: int = 0) -> Packing:
    """After so many looks, with all workers training but `idle_of` them."""
    packing = Packing([str(index) for index in range(len(gpus))], cores, lambda names: [gpu.usage() for gpu in gpus])
    for look in range(looks):
        for gpu in gpus:
            gpu.workers = packing.per_device
        packing.look(packing.workers - idle_of, look * EVERY_SECONDS)
    return packing


@pytest.mark.parametrize(
    ("busy", "mib", "workers"),
    [
        (0.30, 1_400, 3),  # MiniLM on an H100
        (0.40, 1_400, 2),
        (0.50, 1_400, 1),
        (0.05, 1_400, MOST),
        (0.05, 27_000, 1),  # twice what one takes would not fit beside it
        (0.05, 20_000, 2),
    ],
)
def test_workers_come_while_time_and_memory_last(busy: float, mib: float, workers: int) -> None:
    assert packed(Gpu(busy, mib)).per_device == workers


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
    assert packed(Gpu(0.05, 1_400), looks=LOOKS - 1).per_device == 1
    assert packed(Gpu(0.05, 1_400), looks=LOOKS).per_device == 2
    assert packed(Gpu(0.05, 1_400), idle_of=1).per_device == 1


def test_a_worker_that_starts_begins_the_watch_anew() -> None:
    gpu = Gpu(0.05, 1_400)
    packing = Packing(["0"], 16, lambda names: [gpu.usage()])
    gpu.workers = 1
    for look in range(2 * LOOKS - 1):
        packing.look(0 if look == LOOKS - 1 else 1, look * EVERY_SECONDS)
    assert packing.per_device == 1
    packing.look(1, 2 * LOOKS * EVERY_SECONDS)
    assert packing.per_device == 2


def test_looks_lie_apart() -> None:
    looks = []

    def usage(names: list[str]) -> list[Usage]:
        looks.append(names)
        return [Usage(1.0, 0, TOTAL)]

    packing = Packing(["0"], 16, usage)
    for half_seconds in range(int(6 * EVERY_SECONDS)):
        packing.look(1, half_seconds / 2)
    assert looks == [["0"]] * (1 + 3)


@pytest.mark.parametrize("silent_at", [0, LOOKS // 2])
def test_a_gpu_that_tells_nothing_has_one_worker(silent_at: int) -> None:
    calls = iter(range(10_000))
    packing = Packing(["0"], 16, lambda names: [] if next(calls) % LOOKS == silent_at else [Usage(0.0, 0, TOTAL)])
    for look in range(10 * LOOKS):
        packing.look(1, look * EVERY_SECONDS)
    assert packing.per_device == 1


def test_a_gpu_that_gets_busier_gets_no_more() -> None:
    gpu = Gpu(0.05, 1_400)
    packing = Packing(["0"], 16, lambda names: [gpu.usage()])
    for look in range(10 * LOOKS):
        gpu.workers = packing.per_device
        gpu.busy = 0.05 if packing.per_device == 1 else 0.45
        packing.look(packing.workers, look * EVERY_SECONDS)
    assert packing.per_device == 2
