"""The heartbeat of a worker: a thread that writes onto its trial that the worker lives, and when it last made a step.

Optuna's own heartbeat does nothing for trials that are asked for and told, only for those of `Study.optimize`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from peftsearch.core.errors import StorageLost
from peftsearch.core.progress import StepReport
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patience import at_once, say_on_stderr
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.storage.trial_attributes import write_heartbeat, write_progress

if TYPE_CHECKING:
    from optuna.study import Study

HEARTBEAT_SECONDS = 5.0

SPARING_TIMES, SPARING_MOST = 100, 3
"""The pause between two beats is so many times as long as a beat takes, and at most so many times the usual one: a
database that many workers keep busy is beaten less often, still well within the time in which silence means death."""

STARTING_SECONDS = 1800.0
"""A trial may take this long to its first step: it loads a backbone, reads and tokenises texts, or fits tf-idf."""

BUSY_SHARE = 0.2
"""Before the first step, a process that computes for this share of the time is not taken to hang."""


def sparing(interval: float, took: float) -> float:
    """The seconds until the next beat, after one that took so many seconds."""
    return min(max(interval, SPARING_TIMES * took), SPARING_MOST * interval)


class Steps:
    """The steps of one trial, on a clock that stands still while the machine sleeps.

    Attributes:
        slowest: the longest time between two steps so far, in seconds; None before the first step.
        at: the step of training that was last reported; None for a trial that reports none.
    """

    def __init__(self) -> None:
        self.slowest: float | None = None
        self.at: StepReport | None = None
        self._began = self._last = self._looked = time.monotonic()
        self._computed = time.process_time()

    @property
    def silence(self) -> float:
        """Seconds since the last step or, before the first, since the process was last seen to compute."""
        return time.monotonic() - self._last

    def made(self) -> None:
        """Note a step."""
        now = time.monotonic()
        self.slowest = 0.0 if self.slowest is None else max(self.slowest, now - self._last)
        self._last = now

    def waited(self) -> None:
        """Note that the storage was away: the trial may have waited for it too, and that is no hang."""
        self._last = time.monotonic()

    def look(self) -> None:
        """Before the first step, note whether the process has computed since the last look."""
        now, computed = time.monotonic(), time.process_time()
        busy = computed - self._computed >= BUSY_SHARE * (now - self._looked)
        if busy and self.slowest is None and now - self._began < STARTING_SECONDS:
            self._last = now
        self._looked, self._computed = now, computed


class Heartbeat(threading.Thread):
    """Writes the time onto one trial at an interval, and goes on after an outage of the database.

    A trial that hangs in Python keeps its heartbeat, so the time of its last step is written beside it.
    """

    def __init__(self, study: Study, interval: float = HEARTBEAT_SECONDS) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._study = study
        self._interval = interval
        self._trial_id: int | None = None
        self._lost: int | None = None
        self._steps = Steps()
        self._closed = threading.Event()

    def hold(self, number: int | None) -> None:
        """Keep the trial `number` alive from now on; None for no trial."""
        self._steps = Steps()
        self._trial_id = None if number is None else trial_id(self._study, number)
        if self._trial_id is not None:
            self._beat(self._trial_id)

    def step(self) -> None:
        """Note that training goes on: a step was made, or a batch evaluated, or an epoch reported."""
        self._steps.made()

    def reached(self, at: StepReport) -> None:
        """Note where the trial is; the next beat writes it."""
        self._steps.at = at

    def lost(self) -> bool:
        """Whether the trial is no longer this worker's: another process has failed it, or the storage is lost."""
        return self._trial_id is not None and self._lost == self._trial_id

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def run(self) -> None:
        pause = self._interval
        while not self._closed.wait(pause):
            began = time.monotonic()
            self.beat()
            pause = sparing(self._interval, time.monotonic() - began)

    def beat(self) -> None:
        """Write how the trial is that this worker holds, if it holds one."""
        self._steps.look()
        held = self._trial_id
        if held is not None:
            self._beat(held)

    def _beat(self, held: int) -> None:
        """Write the time, or leave it to the next beat: after a wait it would be an old time."""
        from optuna.exceptions import UpdateFinishedTrialError

        storage, steps, now, began = storage_of(self._study), self._steps, time.time(), time.monotonic()
        try:
            with at_once():
                # In this order: a reader between the two would take a new heartbeat without a new step for a hang.
                write_progress(storage, held, now - steps.silence, steps.slowest, steps.at)
                write_heartbeat(storage, held, now)
        except UpdateFinishedTrialError:
            self._lost = held
        except StorageLost:  # the worker meets it too, as soon as its training is interrupted
            self._lost = held
        except StorageAway as away:
            say_on_stderr(f"heartbeat of trial id {held} not written: {away}")
            steps.waited()
        if time.monotonic() - began > HEARTBEAT_SECONDS:
            steps.waited()
