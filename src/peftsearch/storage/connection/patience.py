"""Waiting for a database that does not answer: with growing pauses, up to a time, and said once."""

from __future__ import annotations

import contextlib
import math
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import StorageAway

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

Found = TypeVar("Found")

PATIENCE_SECONDS = 300.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
GLANCE_SECONDS = 0.5
"""A pause is made of such parts, so that a request to end is noticed within it."""

SILENT_SECONDS = 0.25
"""An outage this short is not worth a line: a connection was cut, and the next one is there."""

SLOW_SECONDS = 5.0
"""A call that takes this long has waited for the database, even if it did not fail."""

_waiting: ContextVar[bool] = ContextVar("waiting", default=True)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Within this block and thread, a storage does not wait: an outage is raised as `StorageAway`."""
    token = _waiting.set(False)
    try:
        yield
    finally:
        _waiting.reset(token)


def patience_of(storage: BaseStorage) -> Patience:
    """How `storage` waits; a storage that is not a `PatientStorage` does not wait, and is never away."""
    found = getattr(storage, "patience", None)
    return found if isinstance(found, Patience) else Patience("", seconds=0)


def say_on_stderr(line: str) -> None:
    """Print `line`. On the terminal it stands above a live view; in a worker it goes to the log."""
    with contextlib.suppress(OSError):  # the log may lie on the very disk that is full
        print(line, file=sys.stderr, flush=True)


@dataclass
class Patience:
    """Repeats what a database did not do, for as long as it is patient.

    Attributes:
        storage: the database as messages name it, without its password.
        seconds: how long an outage may last.
        until: a time on `clock` at which no more is waited, whatever the patience.
        trouble: when the database was last seen not to answer, on `clock`; None if it always has.
        say: takes the two lines about an outage.
        clock: seconds that never go back.
        pause: sleeps for some seconds.
    """

    storage: str
    seconds: float = PATIENCE_SECONDS
    until: float = math.inf
    trouble: float | None = None
    say: Callable[[str], None] = say_on_stderr
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _said: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def repeat(self, operation: Callable[[bool], Found]) -> Found:
        """The result of `operation`, which is called again after each outage.

        Args:
            operation: given whether this is a repetition, so that it can look whether the first call did its work.

        Raises:
            StorageLost: the outage lasted longer than the patience.
            StorageAway: an outage in an `at_once` block.
        """
        began, pauses = self.clock(), 0
        while True:
            try:
                found = operation(pauses > 0)
            except StorageAway as away:
                self.trouble = self.clock()
                if not _waiting.get():
                    raise
                self._wait(began, pauses, str(away))
                pauses += 1
            else:
                if pauses or self.clock() - began > SLOW_SECONDS:
                    self._answered(began)
                return found

    def limit(self, seconds: float) -> None:
        """Wait no longer than `seconds` from now on, in whatever call. A signal's handler may call it."""
        self.until = self.clock() + seconds

    def seconds_without_trouble(self) -> float:
        """For how long the database has answered this process at once; infinite if it always has."""
        return math.inf if self.trouble is None else self.clock() - self.trouble

    def _wait(self, began: float, pauses: int, reason: str) -> None:
        now = self.clock()
        end = min(began + self.seconds, self.until)
        if now >= end:
            lasted = f"has not answered for {now - began:.0f} s" if now - began >= 1 else "does not answer"
            raise StorageLost(
                f"the storage {self.storage} {lasted} ({reason}); nothing is lost: once it answers, the same command"
                " goes on"
            )
        if now - began >= SILENT_SECONDS:
            self._say_once(f"the storage {self.storage} does not answer ({reason}); trying for up to {end - now:.0f} s")
        until = min(end, now + random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, FIRST_PAUSE * 2**pauses))
        while (left := min(until, self.until) - self.clock()) > 0:
            self.pause(min(left, GLANCE_SECONDS))

    def _say_once(self, line: str) -> None:
        with self._lock:
            said, self._said = self._said, True
        if not said:
            self.say(line)

    def _answered(self, began: float) -> None:
        self.trouble = self.clock()
        with self._lock:
            said, self._said = self._said, False
        if said:
            self.say(f"the storage answers again after {self.clock() - began:.0f} s; peftsearch goes on where it was")
