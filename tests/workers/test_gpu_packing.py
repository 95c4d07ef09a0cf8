"""GPUs are watched, and get more workers as soon as the first trials' steps show that they have room."""

from __future__ import annotations

from dataclasses import dataclass, field

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


def packed(*gpus: Gpu, cores: int = 16, samples: int = 20 * SAMPLES, idle_of: int = 0) -> GpuPacking:
    """After so many samples, with all workers training but `idle_of` them."""
    packing = GpuPacking([str(index) for index in range(len(gpus))], cores, lambda names: [gpu.usage() for gpu in gpus])
    for sample in range(samples):
        training = packing.workers - idle_of
        for gpu in gpus:
            gpu.workers = packing.per_device
        packing.sample(packing.workers, training, sample * SAMPLE_SECONDS)
    return packing


@pytest.mark.parametrize(
    ("utilisation", "mib", "workers"),
    [
        (0.29, 1_400, 3),  # MiniLM on an H100
        (0.40, 1_400, 2),
        (0.50, 1_400, 1),
        (0.0, 1_400, MAX_WORKERS),
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


def test_the_first_trials_steps_decide_and_double_the_workers_at_most() -> None:
    assert packed(Gpu(0.05, 1_400), samples=SAMPLES).per_device == 1
    assert packed(Gpu(0.05, 1_400), samples=SAMPLES + 1).per_device == 2
    assert packed(Gpu(0.05, 1_400), samples=2 * SAMPLES + 1).per_device == 4
    assert packed(Gpu(0.05, 1_400), idle_of=1).per_device == 1, "nothing trains"


def test_a_gpu_is_looked_at_from_the_first_step_on_and_anew_when_all_workers_have_come() -> None:
    looks = []
    gpu = Gpu(0.05, 1_400)
    gpu.workers = 1

    def watched(names: list[str]) -> list[GpuUsage]:
        looks.append(names)
        return [gpu.usage()]

    packing = GpuPacking(["0"], 16, watched)
    looks.clear()
    for second in range(9):
        packing.sample(1, 0, float(second))
    assert looks == [], "it loads"
    for second in range(10, 20):
        packing.sample(1, second % 2, float(second))
    assert (packing.per_device, len(looks)) == (1, 9), "the pauses between trials bring nothing to the count"
    packing.sample(1, 0, 20.0)
    packing.sample(1, 1, 21.0)
    assert packing.per_device == 2
    looks.clear()
    for second in range(22, 30):
        packing.sample(1, 1, float(second))
    assert looks == [], "the second worker starts"
    packing.sample(2, 1, 30.0)
    for second in range(31, 30 + SAMPLES):
        packing.sample(1, 1, float(second))
    assert packing.per_device == 4, "short trials are seldom seen to train all at once"


def test_looks_lie_apart() -> None:
    looks = []

    def usage(names: list[str]) -> list[GpuUsage]:
        looks.append(names)
        return [GpuUsage(1.0, 0, TOTAL)]

    packing = GpuPacking(["0"], 16, usage)
    for part in range(12):
        packing.sample(1, 1, part * SAMPLE_SECONDS / 4)
    assert looks == [["0"]] * (1 + 3)


@pytest.mark.parametrize("silent_at", [0, SAMPLES // 2])
def test_a_gpu_that_tells_nothing_has_one_worker(silent_at: int) -> None:
    calls = iter(range(10_000))
    packing = GpuPacking(
        ["0"], 16, lambda names: [] if next(calls) % SAMPLES == silent_at else [GpuUsage(0.0, 0, TOTAL)]
    )
    for sample in range(10 * SAMPLES):
        packing.sample(1, 1, sample * SAMPLE_SECONDS)
    assert packing.per_device == 1


def test_a_gpu_that_gets_busier_gets_no_more() -> None:
    gpu = Gpu(0.05, 1_400)
    packing = GpuPacking(["0"], 16, lambda names: [gpu.usage()])
    for sample in range(10 * SAMPLES):
        gpu.workers = packing.per_device
        gpu.utilisation = 0.05 if packing.per_device == 1 else 0.45
        packing.sample(packing.workers, packing.workers, sample * SAMPLE_SECONDS)
    assert packing.per_device == 2


def test_a_few_light_trials_do_not_undo_what_was_seen_before() -> None:
    """All samples of the present workers count: else any row of light trials would add one, and none ever goes."""
    gpu = Gpu(0.6, 1_400)
    packing = GpuPacking(["0"], 16, lambda names: [gpu.usage()])
    gpu.workers = 1
    for sample in range(12 * SAMPLES):
        gpu.utilisation = 0.05 if 8 * SAMPLES <= sample < 10 * SAMPLES else 0.6
        packing.sample(1, 1, sample * SAMPLE_SECONDS)
    assert packing.per_device == 1


@dataclass
class SimulatedSearch:
    """A search of short trials on one GPU, a second a tick, as the supervisor sees it.

    A worker starts for `starting` seconds. Then its trials load, train and are told, again and again. The GPU is as
    busy as the number of training trials says, and tells what it did in the second before.
    """

    share: float
    starting: int = 10
    loading: int = 1
    training: int = 2
    packing: GpuPacking = field(init=False)
    started: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=lambda: [0.0])

    def __post_init__(self) -> None:
        self.packing = GpuPacking(["0"], 16, lambda names: [self.usage()])

    def usage(self) -> GpuUsage:
        return GpuUsage(self.busy[-1], (500 + 1_400 * len(self.started)) * MIB, TOTAL)

    def run(self, seconds: int) -> list[int]:
        """The number of workers that are wanted at each second."""
        wanted = []
        for now in range(seconds):
            ages = [now - start - self.starting - lag for lag, start in enumerate(self.started)]
            at = [age % (self.loading + self.training + 1) for age in ages if age >= 0]
            train = sum(self.loading <= place < self.loading + self.training for place in at)
            self.packing.sample(sum(place < self.loading + self.training for place in at), train, float(now))
            self.started += [now] * (self.packing.workers - len(self.started))
            self.busy.append(min(1.0, self.share * train))
            wanted.append(self.packing.workers)
        return wanted


@pytest.mark.parametrize("training", [1, 2, 3, 30])
@pytest.mark.parametrize(("share", "workers", "within"), [(0.42, 2, 30), (0.28, 3, 60), (0.10, 4, 60), (0.65, 1, 1)])
def test_what_pays_is_reached_within_the_first_half_of_a_search_of_two_minutes(
    training: int, share: float, workers: int, within: int
) -> None:
    """The first worker takes ten seconds to start, and so does each one that comes."""
    wanted = SimulatedSearch(share, training=training).run(120)
    assert wanted[-1] == workers
    assert wanted.index(workers) < within
