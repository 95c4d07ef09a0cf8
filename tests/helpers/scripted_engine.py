"""An engine that runs nothing: a test writes how each of its workers fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peftsearch.storage.takes import Takes
from peftsearch.workers.engine import Ended
from peftsearch.workers.job import Job


@dataclass
class ScriptedWorker:
    """Does what a test says.

    Attributes:
        known_as: its identity; None while it waits for a place.
        ended: set once it has ended.
    """

    index: int
    known_as: dict[str, Any] | None = None
    ended: Ended | None = None
    interrupted: bool = False

    def identity(self) -> Mapping[str, Any] | None:
        return self.known_as

    def poll(self) -> Ended | None:
        return self.ended

    def interrupt(self) -> None:
        self.interrupted = True

    def kill(self) -> None:
        self.ended = self.ended or Ended(None, "signal SIGKILL")


@dataclass
class ScriptedEngine:
    """Has room for so many workers, and remembers all that it started.

    Attributes:
        beside: whether the worker at the place 0 takes text methods alone, and the others those of encoders.
    """

    room: int = 1
    beside: bool = False
    started: list[ScriptedWorker] = field(default_factory=list)

    def capacity(self, holding: int, training: int) -> int:
        return self.room

    def takes(self, index: int) -> Takes:
        if not self.beside:
            return "all"
        return "encoders" if index else "texts"

    def start(self, job: Job, index: int) -> ScriptedWorker:
        self.started.append(ScriptedWorker(index))
        return self.started[-1]

    def close(self) -> None:
        return
