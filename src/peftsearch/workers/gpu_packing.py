"""How many workers share a GPU: first one, then one more each time the GPUs are seen to have room for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peftsearch.workers.devices import GpuUsage

SAMPLE_SECONDS = 2.0
"""The time between two samples of the GPUs' usage."""

SAMPLES = 10
"""Samples with all workers training before one more may start: 20 s, a few epochs of a small encoder."""

MAX_UTILISATION = 0.9
"""The utilisation that is expected of a GPU with one worker more may not exceed this share of the time: workers that
wait for each other take longer each, and training time is an objective."""

MAX_WORKERS = 4
"""The most workers of one GPU. More than two were never measured (docs/performance.md)."""


@dataclass
class GpuPacking:
    """Decides how many workers share each GPU.

    The utilisation is expected to grow in proportion to the workers. The new worker is expected to need twice the most
    memory that a worker has used so far, since it may train another method. Workers are never taken away again: on a
    GPU that is busier than expected each only gets its share of the time.

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
    _samples: list[list[GpuUsage]] = field(default_factory=list)
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._before = self.usage(self.gpus)

    @property
    def workers(self) -> int:
        """The workers of all GPUs together."""
        return self.per_device * len(self.gpus)

    def sample(self, training: int, now: float) -> None:
        """Take a sample of the GPUs' usage if it is time to, and decide once there are enough of them.

        Args:
            training: the number of workers that hold a trial.
            now: seconds on a monotonic clock.
        """
        if now < self._next or self.per_device >= min(MAX_WORKERS, self.cores // len(self.gpus)):
            return
        self._next = now + SAMPLE_SECONDS
        if training < self.workers:  # some workers are still starting, or there is nothing more to train
            self._samples.clear()
            return
        self._samples.append(self.usage(self.gpus))
        if len(self._samples) < SAMPLES:
            return
        if all(self._has_room(index) for index in range(len(self.gpus))):
            self.per_device += 1
        self._samples.clear()

    def _has_room(self, gpu: int) -> bool:
        if any(len(usages) != len(self.gpus) for usages in (self._before, *self._samples)):
            return False
        samples = [usages[gpu] for usages in self._samples]
        utilisation = sum(usage.utilisation for usage in samples) / len(samples)
        used = max(usage.used_memory for usage in samples)
        of_one_worker = (used - self._before[gpu].used_memory) / self.per_device
        growth = (self.per_device + 1) / self.per_device
        return utilisation * growth <= MAX_UTILISATION and used + 2 * of_one_worker <= samples[0].total_memory
