"""The contract between a search's supervisor and the place where its workers run.

The supervisor decides how many workers a search needs, counts deaths, and puts trials back; an engine starts workers,
stops them and tells how they ended. Workers share nothing but the storage, so an engine passes on a `Job`, and brings
back a `WorkerReport`. Local processes (`workers/local.py`) are the first engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from peftsearch.storage.takes import Takes
from peftsearch.workers.job import Job, WorkerReport


@dataclass(frozen=True)
class Ended:
    """How a worker ended.

    Attributes:
        report: what the worker said last; None if it died before it could. The other attributes describe a death.
        how: the cause in a few words, as in `signal SIGKILL`.
        log: where the worker's log is to be found.
        log_end: the last lines of that log, in one line.
        lost: the worker's machine went away, so neither its trial nor the search is to blame for the death.
    """

    report: WorkerReport | None
    how: str = ""
    log: str = ""
    log_end: str = ""
    lost: bool = False


class Worker(Protocol):
    """One worker that an engine was asked for. It may wait for a place before it runs."""

    @property
    def index(self) -> int:
        """The place among the search's workers that it was started for."""

    def identity(self) -> Mapping[str, Any] | None:
        """`pid` and `host` as they stand on the worker's trials; None as long as the engine does not know them."""

    def poll(self) -> Ended | None:
        """How the worker ended; None while it waits or runs. Never blocks."""

    def interrupt(self) -> None:
        """Ask the worker to put its trial back and to end. A worker that still waits for a place ends at once."""

    def kill(self) -> None:
        """End the worker at once; `poll` then tells of a death. Nothing happens to one that has ended."""


class Engine(Protocol):
    """A place where workers run: the processes of this machine, say, or a cluster."""

    def capacity(self, holding: int, training: int) -> int:
        """The number of workers that the engine wants now; asked about once a second.

        Args:
            holding: how many of its workers hold a trial; those that take text methods alone are not counted.
            training: how many of these trials make steps.
        """

    def takes(self, index: int) -> Takes:
        """Which trials the worker at the place `index` takes."""

    def start(self, job: Job, index: int) -> Worker:
        """Start the worker for the place `index`, which no living worker has. Never waits until it runs."""
