"""What a trial has spent apart from its epochs, in this process and in those that had trained it before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from peftsearch.training.meter import PeakMemory
from peftsearch.training.prefix_cache.states import CachedRows, CachedSplit
from peftsearch.training.prefix_cache.store import Cost


class Spent:
    """The cost of the frozen prefix and the peak of the memory.

    Attributes:
        cached: what the prefix cost this trial, in whichever process.
        memory: of this process.
    """

    def __init__(self, cached: CachedRows, memory: PeakMemory) -> None:
        self.cached = cached
        self.memory = memory
        self._earlier_peak = 0.0

    @property
    def peak_memory_mb(self) -> float:
        """The highest of all processes, in MiB."""
        return max(self.memory.read(), self._earlier_peak, self.cached.peak_memory_mb)

    def to_dict(self) -> dict[str, Any]:
        splits = {"train": self.cached.train, "validation": self.cached.validation}
        prefix = {name: {"cost": asdict(split.cost), "now": split.computed_now} for name, split in splits.items()}
        return {"prefix": prefix, "peak_memory_mb": self.peak_memory_mb}

    def take_up(self, data: Mapping[str, Any]) -> None:
        """Count what `to_dict` has returned in the process that trained before, in place of this one's prefix."""
        cached, prefix = self.cached, data["prefix"]
        self.cached = replace(
            cached,
            train=_split(cached.train, prefix["train"]),
            validation=_split(cached.validation, prefix["validation"]),
        )
        self._earlier_peak = data["peak_memory_mb"]

    def leave_out_the_memory_so_far(self) -> None:
        """Forget what restoring the state took, which no uninterrupted trial takes."""
        self.memory.forget()


def _split(split: CachedSplit, data: Mapping[str, Any]) -> CachedSplit:
    return replace(split, cost=Cost(**data["cost"]), computed_now=data["now"])
