"""A search's workers, supervised: started while there is work, replaced when they die, stopped when they shall end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from peftsearch.core.errors import UserError
from peftsearch.storage.budget import claimable, finished
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.recovery import reclaim, release, running_workers
from peftsearch.storage.study_attributes import write_supervised
from peftsearch.storage.worker_identity import process_of
from peftsearch.workers.engine import Ended, Engine, Worker
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.signals import requests_to_end

if TYPE_CHECKING:
    from optuna.study import Study

TICK_SECONDS = 1.0
RECLAIM_SECONDS = 10.0
GRACE_SECONDS = 30.0
"""How long workers have to put their trials back after an interruption, before they are killed."""

MOST_DEATHS = 3
"""The search is given up when so many workers die in a row, with no trial finished in between."""

How = Literal["done", "interrupted", "timeout", "exhausted", "errors", "deaths", "storage"]


@dataclass(frozen=True)
class Outcome:
    """How a search ended, and why, unless it is simply `done`."""

    how: How
    message: str = ""


def run_workers(
    study: Study,
    job: Job,
    engine: Engine,
    *,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    timeout: float | None = None,
) -> Outcome:
    """Search with the workers of `engine` until the budget is spent.

    The first Ctrl-C asks the workers to put their trials back and waits for them; the second kills them.

    Args:
        study: the study that `job` names, as `storage.prepare.prepare` leaves it.
        job: what every worker is told.
        engine: starts the workers.
        on_tick: called about once a second with every trial as it stands.
        timeout: seconds after which the search ends as at the first Ctrl-C.

    Returns:
        How the search ended.

    Raises:
        UserError: the workers cannot do the job at all, say because the data is not there.
        StorageLost: the storage did not answer for longer than `job.storage_patience`, or is gone for good.
    """
    patience_of(storage_of(study)).limit(math.inf if timeout is None else timeout + GRACE_SECONDS)
    supervisor = Supervisor(study, job, engine, deadline=None if timeout is None else time.monotonic() + timeout)
    supervisor.run(on_tick)
    if supervisor.refusal is not None:
        raise UserError(supervisor.refusal)
    return supervisor.outcome or Outcome("done")


@dataclass
class DeathsInARow:
    """Counts the workers that died since the last trial finished."""

    count: int = 0
    finished_trials: int = 0

    def add(self, finished_trials: int) -> int:
        """Count one more death, at which so many trials have finished; the deaths in a row."""
        self.count = 1 if finished_trials > self.finished_trials else self.count + 1
        self.finished_trials = finished_trials
        return self.count


@dataclass
class Supervisor:
    """One search's workers and what has happened to them.

    Attributes:
        deadline: when the search is to be stopped, on the monotonic clock.
        workers: the living workers by their index.
        outcome: set as soon as no more workers shall start.
        refusal: why the job cannot be done at all.
        requests_to_end: how often Ctrl-C was pressed.
        stopped: when the workers were asked to end, on the monotonic clock.
    """

    study: Study
    job: Job
    engine: Engine
    deadline: float | None = None
    workers: dict[int, Worker] = field(default_factory=dict)
    outcome: Outcome | None = None
    refusal: str | None = None
    requests_to_end: int = 0
    stopped: float | None = None
    deaths: DeathsInARow = field(default_factory=DeathsInARow)
    reclaimed: float = field(default_factory=time.monotonic)
    awake: threading.Event = field(default_factory=threading.Event)

    def run(self, on_tick: Callable[[list[Record]], None]) -> None:
        """Look after the workers until none is left to look after."""
        with requests_to_end(self.on_request_to_end):
            try:
                while self.step():
                    on_tick(records(self.study))
                    self.wait()
            finally:
                self.kill()
            on_tick(records(self.study))

    def step(self) -> bool:
        """Look after the workers once; False when nothing is left to look after."""
        for worker in list(self.workers.values()):
            ended = worker.poll()
            if ended is not None:
                self._ended(worker, ended)
        self._stop_if_asked()
        if self.stopped is None:
            self._reclaim_now_and_then()
        if self.outcome is None:
            self._start_workers()
        return bool(self.workers) or (self.outcome is None and self._claimed_by_nobody())

    def wait(self) -> None:
        """Wait for the next tick, or for a request to end."""
        self.awake.wait(TICK_SECONDS)
        self.awake.clear()

    def kill(self) -> None:
        for worker in self.workers.values():
            worker.kill()

    def on_request_to_end(self) -> None:
        self.requests_to_end += 1
        patience_of(storage_of(self.study)).limit(GRACE_SECONDS if self.requests_to_end == 1 else 0.0)
        self.awake.set()

    def _stop_if_asked(self) -> None:
        """Act on Ctrl-C and the deadline; kill workers that did not end in their grace period."""
        now = time.monotonic()
        if self.stopped is None and self.requests_to_end:
            self._stop(Outcome("interrupted"))
        elif self.stopped is None and self.deadline is not None and now >= self.deadline:
            self._stop(Outcome("timeout"))
        if self.requests_to_end > 1 or (self.stopped is not None and now - self.stopped > GRACE_SECONDS):
            self.kill()

    def _stop(self, outcome: Outcome) -> None:
        self.outcome = self.outcome or outcome
        self.stopped = time.monotonic()
        for worker in self.workers.values():
            worker.interrupt()

    def _ended(self, worker: Worker, ended: Ended) -> None:
        del self.workers[worker.index]
        if ended.report is not None and ended.report.ending == "storage":
            self._lost_storage(worker, ended.report)
        elif ended.report is not None:
            self._reported(ended.report)
        elif self.stopped is not None or ended.lost:
            self._put_back(worker)
        else:
            self._died(worker, ended)

    def _reported(self, report: WorkerReport) -> None:
        if report.ending == "refused":
            self.refusal = report.message
        if report.ending in ("refused", "errors"):
            self._stop(Outcome("errors", report.message))
        elif report.ending == "exhausted":  # what the other workers train is still worth finishing
            self.outcome = self.outcome or Outcome("exhausted", report.message)

    def _lost_storage(self, worker: Worker, report: WorkerReport) -> None:
        """End the search, since the worker has waited for the storage as long as anyone shall."""
        self._stop(Outcome("storage", report.message))
        patience_of(storage_of(self.study)).limit(0.0)
        self._put_back(worker)

    def _put_back(self, worker: Worker) -> None:
        """Make the dead worker's trial wait again: the worker was killed on purpose, or its machine was lost."""
        identity = worker.identity()
        if identity is not None:
            release(self.study, identity)

    def _died(self, worker: Worker, ended: Ended) -> None:
        """Fail the trial that the worker held, and give up the search if workers do nothing but die."""
        reclaim(self.study, dead=worker.identity())
        if self.deaths.add(finished(self.study)) >= MOST_DEATHS:
            last = f"the last one's log, {ended.log}, ends: {ended.log_end}"
            self._stop(Outcome("deaths", f"{MOST_DEATHS} workers died in a row ({ended.how}); {last}"))

    def _reclaim_now_and_then(self) -> None:
        if time.monotonic() - self.reclaimed > RECLAIM_SECONDS:
            self.reclaimed = time.monotonic()
            write_supervised(self.study, time.time())  # a disk that is full still lets this process read
            reclaim(self.study)

    def _start_workers(self) -> None:
        """Start as many workers as there are trials to claim, within what the engine has room for."""
        training = self._training()
        free = [index for index in range(self.engine.capacity(training)) if index not in self.workers]
        for index in free[: self._vacancies(training)] if free else ():  # counting the vacancies reads every trial
            self.workers[index] = self.engine.start(self.job, index)

    def _vacancies(self, training: int) -> int:
        """How many trials nobody holds or is about to claim: each worker without a trial will claim one."""
        starting = len(self.workers) - training
        return max(0, claimable(self.study, self.job.budget) - starting)

    def _training(self) -> int:
        """How many workers hold a trial."""
        holding = {process_of(worker) for worker in running_workers(self.study) if worker}
        return sum(process_of(worker.identity()) in holding for worker in self.workers.values())

    def _claimed_by_nobody(self) -> bool:
        """Whether a trial runs without a worker's name on it, since its worker died while claiming it."""
        return not all(running_workers(self.study))
