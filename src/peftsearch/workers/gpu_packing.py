"""How many workers share a GPU: first one, and more as soon as the first trials' steps show that there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from peftsearch.workers.devices import GpuUsage

SAMPLE_SECONDS = 0.5
"""The least time between two samples of the GPUs' usage."""

SAMPLES = 5
"""Samples in which a trial trains, before workers are added: with one a second these are five seconds of a trial, or
those of a few short ones."""

KEPT = 120
"""The last samples that count: two minutes."""

MAX_UTILISATION = 0.9
"""The utilisation that is expected of a GPU with more workers may not exceed this share of the time: workers that wait
for each other take longer each, and training time is an objective."""

MAX_WORKERS = 4
"""The most workers of one GPU. More than two were never measured (docs/performance.md)."""


@dataclass(frozen=True)
class Sample:
    """What the GPUs were doing between two looks, and for how many trials.

    Attributes:
        usages: one for each GPU; empty if that is not known.
        trials: the mean of the trials that made steps at both looks.
    """

    usages: list[GpuUsage]
    trials: float


@dataclass
class GpuPacking:
    """Decides how many workers share each GPU.

    A trial is taken to use as much of a GPU as those that were seen did on the average: the utilisation of all samples
    is divided by their trials, so that neither the pauses between short trials count, nor that the driver tells what
    was up to a second ago. The utilisation is expected to grow in proportion to the workers. Each new one is expected
    to need twice the most memory that a worker has used so far, since it may train another method.

    As one short look may mislead, the workers are at most doubled, and are then looked at anew once all of them have
    come. They are never taken away again: on a GPU that is busier than expected each only gets its share of the time.

    Args:
        gpus: their names, as `devices.gpus` returns them.
        cores: the number of CPU cores that all workers share; each worker keeps one busy.
        usage: what the GPUs of these names are doing; empty if that is not known, and then each has one worker.
        per_device: the workers of each GPU, now.
    """

    gpus: list[str]
    cores: int
    usage: Callable[[list[str]], list[GpuUsage]]
    per_device: int = 1
    _before: list[GpuUsage] = field(init=False)
    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    _all_came: bool = False
    _training: int = 0
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._before = self.usage(self.gpus)

    @property
    def workers(self) -> int:
        """The workers of all GPUs together."""
        return self.per_device * len(self.gpus)

    @property
    def _most(self) -> int:
        return max(1, min(MAX_WORKERS, self.cores // len(self.gpus)))

    def sample(self, holding: int, training: int, now: float) -> None:
        """Take a sample of the GPUs' usage if it is time to, and decide once there are enough of them.

        Args:
            holding: the number of workers that hold a trial.
            training: how many of these trials make steps.
            now: seconds on a monotonic clock.
        """
        if now < self._next or self.per_device >= self._most:
            return
        trials, self._training, self._next = (self._training + training) / 2, training, now + SAMPLE_SECONDS
        self._all_came = self._all_came or holding >= self.workers
        if self._all_came and (trials or self._samples):
            self._samples.append(Sample(self.usage(self.gpus), trials))
            self._decide()

    def _decide(self) -> None:
        """Add workers as far as there is room, once there are enough samples of the present ones."""
        if any(len(usages) != len(self.gpus) for usages in (self._before, self._samples[-1].usages)):
            self._samples.clear()
        elif sum(min(1.0, sample.trials) for sample in self._samples) >= SAMPLES:
            room = min(self._room(gpu) for gpu in range(len(self.gpus)))
            if room > self.per_device:
                self.per_device, self._all_came = min(room, 2 * self.per_device, self._most), False
                self._samples.clear()

    def _room(self, gpu: int) -> int:
        """How many workers the GPU has room for."""
        usages, trials = [sample.usages[gpu] for sample in self._samples], sum(each.trials for each in self._samples)
        of_one_trial = sum(usage.utilisation for usage in usages) * len(self.gpus) / trials
        used = max(usage.used_memory for usage in usages)
        for_one_more = 2 * (used - self._before[gpu].used_memory) / self.per_device
        in_time = int(MAX_UTILISATION / of_one_trial + 1e-6) if of_one_trial else MAX_WORKERS
        in_memory = int((usages[0].total_memory - used) / for_one_more) if for_one_more > 0 else MAX_WORKERS
        return min(in_time, self.per_device + in_memory)
