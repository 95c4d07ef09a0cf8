"""The heartbeat of a worker: a thread that writes the time onto the trial that the worker trains.

Optuna's own heartbeat does nothing for trials that are asked for and told, only for those of `Study.optimize`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patience import at_once, say_on_stderr
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.storage.trial_attributes import write_heartbeat

if TYPE_CHECKING:
    from optuna.study import Study

HEARTBEAT_SECONDS = 5.0


class Heartbeat(threading.Thread):
    """Writes the time onto one trial at an interval, and goes on after an outage of the database."""

    def __init__(self, study: Study, interval: float = HEARTBEAT_SECONDS) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._study = study
        self._interval = interval
        self._trial_id: int | None = None
        self._lost: int | None = None
        self._closed = threading.Event()

    def hold(self, number: int | None) -> None:
        """Keep the trial `number` alive from now on; None for no trial."""
        self._trial_id = None if number is None else trial_id(self._study, number)
        if self._trial_id is not None:
            self._beat(self._trial_id)

    def lost(self) -> bool:
        """Whether the trial is no longer this worker's: another process has failed it, or the storage is lost."""
        return self._trial_id is not None and self._lost == self._trial_id

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def run(self) -> None:
        while not self._closed.wait(self._interval):
            held = self._trial_id
            if held is not None:
                self._beat(held)

    def _beat(self, held: int) -> None:
        """Write the time, or leave it to the next beat: after a wait it would be an old time."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            with at_once():
                write_heartbeat(storage_of(self._study), held, time.time())
        except UpdateFinishedTrialError:
            self._lost = held
        except StorageLost:  # the worker meets it too, as soon as its training is interrupted
            self._lost = held
        except StorageAway as away:
            say_on_stderr(f"heartbeat of trial id {held} not written: {away}")
