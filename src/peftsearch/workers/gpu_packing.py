"""How many workers share a GPU, found by watching it: one more for as long as there is room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peftsearch.workers.devices import Usage

EVERY_SECONDS = 2.0
LOOKS = 10
"""How often all workers must be seen training before one more may come: 20 s, a few epochs of a small encoder."""

FULL = 0.9
"""Share of the time that a GPU may be busy with one worker more. Workers that wait for each other take longer each, and
seconds are an objective."""

MOST = 4
"""Workers of one GPU. More than two were never measured (docs/performance.md)."""


@dataclass
class Packing:
    """Workers of each GPU: 1, then one more whenever all GPUs have shown room for that.

    Busy time is taken to grow with the workers, and the new one to need twice the memory that one of them has taken at
    most: it may train another method. Workers are never taken away again; each then only gets its share of the time.

    Args:
        gpus: as `devices.gpus` names them.
        cores: that all workers share; each keeps one busy.
        usage: what the GPUs are doing; empty if they do not tell, and then there is one worker each.
    """

    gpus: list[str]
    cores: int
    usage: Callable[[list[str]], list[Usage]]
    per_device: int = 1
    _idle: list[Usage] = field(init=False)
    _seen: list[list[Usage]] = field(default_factory=list)
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._idle = self.usage(self.gpus)

    @property
    def workers(self) -> int:
        return self.per_device * len(self.gpus)

    def look(self, training: int, now: float) -> None:
        """Look at the GPUs, if it is time to.

        Args:
            training: workers that hold a trial.
            now: seconds on a steady clock.
        """
        if now < self._next or self.per_device >= min(MOST, self.cores // len(self.gpus)):
            return
        self._next = now + EVERY_SECONDS
        if training < self.workers:  # some are still starting, or there is nothing more to train
            self._seen.clear()
            return
        self._seen.append(self.usage(self.gpus))
        if len(self._seen) < LOOKS:
            return
        if all(self._has_room(index) for index in range(len(self.gpus))):
            self.per_device += 1
        self._seen.clear()

    def _has_room(self, gpu: int) -> bool:
        if any(len(usages) != len(self.gpus) for usages in (self._idle, *self._seen)):
            return False
        seen = [usages[gpu] for usages in self._seen]
        busy = sum(usage.busy for usage in seen) / len(seen)
        used = max(usage.used_mib for usage in seen)
        each = (used - self._idle[gpu].used_mib) / self.per_device
        more = (self.per_device + 1) / self.per_device
        return busy * more <= FULL and used + 2 * each <= seen[0].total_mib
