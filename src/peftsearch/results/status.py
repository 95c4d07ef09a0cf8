"""The progress of a study: counts by state, the running trials, and the time that the rest will take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.core.constraints import Constraint
from peftsearch.results.feasibility import Tally, tally
from peftsearch.results.outlook.pace import seconds_left, whole_by_steps
from peftsearch.storage.liveness.recovery import STALE_SECONDS, is_stale
from peftsearch.workers.watchdog import limit_of

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
        seconds_left: an estimate of the time left (`results.outlook.pace`); None without a budget, or while
            it cannot be told.
        constraints: how many trials break each of them.
    """

    states: Mapping[str, int]
    methods: Mapping[str, Mapping[str, int]]
    running: tuple[Record, ...]
    done: int
    budget: int | None
    seconds_left: float | None
    constraints: tuple[Tally, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "states": dict(self.states),
            "methods": {name: dict(counts) for name, counts in self.methods.items()},
            "running": [record.number for record in self.running],
            "life_signs": {str(record.number): asdict(life_signs(record)) for record in self.running},
            "done": self.done,
            "budget": self.budget,
            "seconds_left": self.seconds_left,
            "constraints": [tally.to_dict() for tally in self.constraints],
        }


def status(records: Sequence[Record], budget: int | None = None, constraints: Sequence[Constraint] = ()) -> Status:
    """Count the trials `records`.

    Args:
        budget: the total of trials asked for.
        constraints: the study's.
    """
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
        seconds_left=seconds_left(records, budget - done) if budget is not None else None,
        constraints=tuple(tally(records, constraints)),
    )


@dataclass(frozen=True)
class LifeSigns:
    """How a running trial is.

    Attributes:
        age: seconds since its worker claimed it.
        last_sign: seconds since its last step or, before the first step, since its worker last showed that it lives.
        stale: whether its worker is gone or silent, so that a search takes the trial over or stops it.
        left: an estimate of the seconds that it still takes, from the steps done; None before the first.
    """

    age: float
    last_sign: float
    stale: bool
    left: float | None = None


def life_signs(record: Record, now: float | None = None) -> LifeSigns:
    """How long a running trial runs, and whether it still does; `now` is the unix time, by default the present.

    One look must compare the times of its machine's clock with that of this one. Whoever acts on a silence listens for
    a while instead (`storage.liveness.silence`).
    """
    now = time.time() if now is None else now
    started = record.started.timestamp() if record.started else now
    last_sign = max(0.0, now - (record.last_step or record.heartbeat or started))
    unheard = now - (record.heartbeat or started)
    stale = unheard > STALE_SECONDS or last_sign > limit_of(record) or is_stale(record.worker, unheard)
    took = whole_by_steps(record)
    left = None if took is None else max(0.0, started + took - now)
    return LifeSigns(max(0.0, now - started), last_sign, stale, left)
