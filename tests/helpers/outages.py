"""Databases that fail when a test says so, and time that passes only when it is waited for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import BaseStorage
from sqlalchemy.engine import Engine

from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patience import Patience


def engine_of(storage: BaseStorage) -> Engine:
    """The SQLAlchemy engine behind what `open_storage` returns."""
    engine: Engine = storage.wrapped.engine  # type: ignore[attr-defined]
    return engine


@dataclass
class FakeTime:
    """A clock that only pauses move; `events` happen at their times."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    events: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()


def patience(time: FakeTime, said: list[str], seconds: float = 300.0, **changes: Any) -> Patience:
    """A patience that waits without time passing, and writes what it says into `said`."""
    return Patience("db", seconds, say=said.append, clock=time.clock, pause=time.pause, **changes)


@dataclass
class Flaky:
    """Stands before a storage; some calls fail before they reach it, and some after they have done their work."""

    storage: BaseStorage
    rng: random.Random
    share: float
    failed: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.storage, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            chance = self.rng.random()
            if chance < self.share:
                self._fail(name)
            found = method(*args, **kwargs)
            if chance > 1 - self.share:
                self._fail(name)
            return found

        return call

    def _fail(self, name: str) -> None:
        self.failed.add(name)
        raise StorageAway("server closed the connection unexpectedly")
