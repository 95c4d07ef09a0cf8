"""Tells which trials hang, from what their workers write: a worker that hangs cannot tell it itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from peftsearch.storage.liveness.heartbeat import HEARTBEAT_SECONDS, STARTING_SECONDS
from peftsearch.storage.records import Record

LEAST_SECONDS = 300.0
"""A trial that has made a step may be silent for at least this long."""

TIMES_SLOWEST = 10
"""A trial may be silent for this many times its slowest step."""

QUIET_SECONDS = 10.0
"""A worker that was asked to end, and has made no step for so long and for `QUIET_TIMES_SLOWEST` times its slowest
step, hangs or is in the middle of something long."""

QUIET_TIMES_SLOWEST = 3

UNHEARD_SECONDS = 30.0
"""A worker may write nothing for at least this long, whatever the limit: a library may keep all threads waiting."""


def limit_of(record: Record, asked: float | None = None) -> float:
    """How many seconds a running trial may go without a step.

    Args:
        asked: the limit for every trial, if the user has set one.
    """
    if asked is not None:
        return asked
    if record.slowest_step is None:
        return STARTING_SECONDS
    return max(LEAST_SECONDS, TIMES_SLOWEST * record.slowest_step)


def heartbeat_interval(asked: float | None) -> float:
    """How often a worker is to write, so that a trial beyond the limit is noticed soon."""
    return HEARTBEAT_SECONDS if asked is None else min(HEARTBEAT_SECONDS, max(0.5, asked / 4))


@dataclass
class Watchdog:
    """Watches running trials.

    How long a trial has made no step is what its worker last wrote, on the worker's clock, and the time since that was
    first seen, on this process's clock: so two machines' clocks may differ. At most `HEARTBEAT_SECONDS` count between
    two looks, since this process too may have slept, or waited for the storage.

    Args:
        limit: the seconds that every trial may go without a step; by default that follows from its slowest step.
    """

    limit: float | None = None
    _unheard: dict[int, tuple[tuple[object, ...], float]] = field(default_factory=dict)
    _looked: float | None = None

    def look(self, records: Iterable[Record], now: float) -> None:
        """Take note of all trials as they stand; `now` is a time in seconds on a monotonic clock."""
        passed = 0.0 if self._looked is None else min(now - self._looked, HEARTBEAT_SECONDS)
        self._looked, before = now, self._unheard
        self._unheard = {}
        for record in records:
            if record.state == "running":
                written = (record.heartbeat, record.last_step, record.worker.get("pid"))
                seen, seconds = before.get(record.number, (None, 0.0))
                self._unheard[record.number] = (written, seconds + passed if seen == written else 0.0)

    def silence(self, record: Record) -> float:
        """For how many seconds the trial has made no step."""
        return _told(record) + self._since_written(record)

    def hangs(self, record: Record) -> str | None:
        """Why the trial is to be stopped; None if it may go on."""
        limit = limit_of(record, self.limit)
        if _told(record) > limit or self.silence(record) > max(limit, UNHEARD_SECONDS):
            return f"it made no step for {self.silence(record):.0f} s, and its limit is {limit:.0f} s"
        return None

    def is_quiet(self, record: Record | None, asked: float) -> bool:
        """Whether a worker is not going to end soon that was asked to so many seconds ago.

        Args:
            record: the trial that it trains; None if it trains none.
        """
        silence = asked if record is None else self.silence(record)
        slowest = record.slowest_step or 0.0 if record else 0.0
        return silence > max(QUIET_SECONDS, QUIET_TIMES_SLOWEST * slowest)

    def _since_written(self, record: Record) -> float:
        _, seconds = self._unheard.get(record.number, (None, 0.0))
        return seconds


def _told(record: Record) -> float:
    """For how long the trial had made no step when its worker last wrote."""
    return 0.0 if record.heartbeat is None or record.last_step is None else record.heartbeat - record.last_step
