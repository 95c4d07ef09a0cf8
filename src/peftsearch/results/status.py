"""The progress of a study: counts by state, the running trials, and the time that the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peftsearch.storage.records import Record


@dataclass(frozen=True)
class Status:
    """Counts of a study's trials.

    Attributes:
        states: state → number of trials.
        methods: method → state → number of trials; `not started` holds the trials without a configuration yet.
        running: the running trials.
        done: the number of trials that have ended and count toward the budget; see `storage.budget`.
        budget: the total of trials last asked for; None if it is unknown.
        seconds_left: an estimate of the time left; None without a budget or a finished trial.
    """

    states: Mapping[str, int]
    methods: Mapping[str, Mapping[str, int]]
    running: tuple[Record, ...]
    done: int
    budget: int | None
    seconds_left: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "states": dict(self.states),
            "methods": {name: dict(counts) for name, counts in self.methods.items()},
            "running": [record.number for record in self.running],
            "done": self.done,
            "budget": self.budget,
            "seconds_left": self.seconds_left,
        }


def status(records: Sequence[Record], budget: int | None = None) -> Status:
    """Count the trials `records`; `budget` is the total of trials asked for."""
    methods: dict[str, Counter[str]] = {}
    for record in records:
        methods.setdefault(record.config.method if record.config else "not started", Counter())[record.state] += 1
    running = tuple(record for record in records if record.state == "running")
    done = sum(record.done for record in records)
    return Status(
        states=Counter(record.state for record in records),
        methods=methods,
        running=running,
        done=done,
        budget=budget,
        seconds_left=_seconds_left(records, budget - done, max(1, len(running))) if budget is not None else None,
    )


def _seconds_left(records: Sequence[Record], remaining: int, workers: int) -> float | None:
    """The mean wall time of finished trials, times the remaining trials, over the number of workers."""
    took = [
        (record.ended - record.started).total_seconds()
        for record in records
        if record.started and record.ended and record.state in ("complete", "pruned")
    ]
    if not took:
        return None
    return max(0, remaining) * sum(took) / len(took) / workers
