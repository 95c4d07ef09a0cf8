"""The contract between a search's supervisor and the place where its workers run.

The supervisor decides how many workers a search needs, counts deaths, and puts trials back; an engine starts workers,
stops them and tells how they ended. Workers share nothing but the storage, so an engine passes on a `Job`, and brings
back a `WorkerReport`. Local processes (`workers/local.py`) are one engine, the actors of a Ray cluster
(`workers/ray_engine.py`) another. `core.strategies.ENGINES` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from peftsearch.storage.takes import Takes
from peftsearch.workers.job import Job, WorkerReport


@dataclass(frozen=True)
class Wanted:
    """What a user asks of an engine.

    Attributes:
        workers: how many workers there shall be; by default the engine decides.
        per_device: how many workers on each GPU, or on the CPU.
        methods: the names of the methods that are trained; none if that is not known.
        gpus_per_worker: how much of a GPU each worker gets; a fraction lets workers share one.
        address: of the cluster.
        module: the module that a worker process runs; it calls `workers.worker.main`.
        say: receives what the user should know of the place where the workers run, one line each.
    """

    workers: int | None = None
    per_device: int | None = None
    methods: Collection[str] = ()
    gpus_per_worker: float | None = None
    address: str | None = None
    module: str = "peftsearch.workers.worker"
    say: Callable[[str], None] = lambda _: None


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

    def close(self) -> None:
        """Give back what the engine holds. Workers that still live end, and put their trials back."""
