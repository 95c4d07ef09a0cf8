"""A search's workers, supervised: started while there is work, replaced when they die, stopped when they shall end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.search.flatness import Flatness, flatness_of
from peftsearch.search.repeated_failure import repeated_failure
from peftsearch.storage.budget import claimable, finished, is_over
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.liveness.recovery import blame, may_be_lost, reclaim, release
from peftsearch.storage.liveness.worker_identity import process_of, this_process
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import write_supervised
from peftsearch.storage.takes import Takes
from peftsearch.workers.engine import Ended, Engine, Worker
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.outcome import DeathsInARow, Outcome, trials_in_words
from peftsearch.workers.signals import requests_to_end
from peftsearch.workers.watchdog import Watchdog

if TYPE_CHECKING:
    from optuna.study import Study

TICK_SECONDS = 1.0
"""How often a supervisor looks whether a worker has ended and, by default, what the storage holds."""

RECLAIM_SECONDS = 10.0
GRACE_SECONDS = 20.0
"""How long workers have to put their trials back after an interruption, before they are killed. Schedulers kill the
whole search 30 s after they have asked it to end."""

MOST_DEATHS = 3
"""The search is given up when so many workers die in a row, with no trial finished in between."""


def run_workers(
    study: Study,
    job: Job,
    engine: Engine,
    *,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    timeout: float | None = None,
    say: Callable[[str], None] = lambda _: None,
    until_done: bool = True,
    look_seconds: float = TICK_SECONDS,
) -> Outcome:
    """Search with the workers of `engine` until the budget is spent, by them or by those of other searches.

    The first Ctrl-C asks the workers to put their trials back and waits for them; the second kills them. SIGTERM and
    SIGHUP do the same.

    Args:
        study: the study that `job` names, as `storage.prepare.prepare` leaves it.
        job: what every worker is told.
        engine: starts the workers.
        on_tick: called at each look at the storage with every trial as it stands.
        timeout: seconds after which the search ends as at the first Ctrl-C, but keeps the trials that have an epoch.
        say: receives a line when the search begins to wait for the trials of other searches.
        until_done: whether to wait for these trials, and to take over those whose workers are gone.
        look_seconds: how often to look at what the storage holds.

    Returns:
        How the search ended; `done` also where others still train and `until_done` is False.

    Raises:
        UserError: the workers cannot do the job at all, say because the data is not there.
        StorageLost: the storage did not answer for longer than `job.storage_patience`, or is gone for good.
    """
    patience_of(storage_of(study)).limit(math.inf if timeout is None else timeout + GRACE_SECONDS)
    deadline = None if timeout is None else time.monotonic() + timeout
    unix_deadline = None if timeout is None else time.time() + timeout
    told = replace(job, parent=this_process(), deadline=unix_deadline)
    supervisor = Supervisor(study, told, engine, deadline, say, until_done, look_seconds)
    supervisor.run(on_tick)
    if supervisor.refusal is not None:
        raise UserError(supervisor.refusal)
    return supervisor.outcome or Outcome("done")


@dataclass
class Supervisor:
    """One search's workers and what has happened to them.

    Attributes:
        deadline: when the search is to be stopped, on the monotonic clock.
        say: receives what the search waits for.
        until_done: whether to wait for the trials of other searches.
        look_seconds: how often to look at what the storage holds, at most.
        workers: the living workers by their index.
        outcome: set as soon as no more workers shall start.
        refusal: why the job cannot be done at all.
        requests_to_end: the signals to end so far: SIGINT is Ctrl-C.
        hung: index of a worker that was killed because its trial hung → how that was seen.
        awaited: the trials of other searches that `say` was last told about.
        stopped: when the workers were asked to end, on the monotonic clock.
    """

    study: Study
    job: Job
    engine: Engine
    deadline: float | None = None
    say: Callable[[str], None] = lambda _: None
    until_done: bool = True
    look_seconds: float = TICK_SECONDS
    workers: dict[int, Worker] = field(default_factory=dict)
    outcome: Outcome | None = None
    refusal: str | None = None
    requests_to_end: list[signal.Signals] = field(default_factory=list)
    hung: dict[int, str] = field(default_factory=dict)
    awaited: list[int] = field(default_factory=list)
    stopped: float | None = None
    deaths: DeathsInARow = field(default_factory=DeathsInARow)
    reclaimed: float = field(default_factory=time.monotonic)
    awake: threading.Event = field(default_factory=threading.Event)
    watchdog: Watchdog = field(init=False)
    flatness: Flatness | None = field(init=False)

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(self.job.trial_timeout)
        self.flatness = flatness_of(self.study, self.job.flat_from)

    def run(self, on_tick: Callable[[list[Record]], None]) -> None:
        """Look after the workers until none is left to look after."""
        with requests_to_end(self.on_request_to_end):
            try:
                goes_on = True
                while goes_on:
                    with one_look() as look:
                        goes_on = self.step()
                        on_tick(records(self.study))
                    self.wait(look.pause(self.look_seconds) if goes_on else 0.0)
            finally:
                self.kill()

    def step(self) -> bool:
        """Look after the workers once; False when nothing is left to look after."""
        for worker in list(self.workers.values()):
            ended = worker.poll()
            if ended is not None:
                self._ended(worker, ended)
        self._stop_if_asked()
        self._kill_silent_workers()
        if self.stopped is None:
            self._reclaim_now_and_then()
            self.outcome = self.outcome or self._flat()
            self._start_workers()
        if self.workers or self.outcome is not None:
            return bool(self.workers)
        return self._waits_for_others()

    def wait(self, seconds: float) -> None:
        """Wait for the next look at the storage, for a worker that ends, or for a request to end."""
        until = time.monotonic() + seconds
        while not self.awake.wait(min(seconds, TICK_SECONDS)) and time.monotonic() < until:
            if any(worker.poll() is not None for worker in self.workers.values()):
                break
        self.awake.clear()

    def kill(self) -> None:
        for worker in self.workers.values():
            worker.kill()

    def on_request_to_end(self, number: signal.Signals) -> None:
        self.requests_to_end.append(number)
        patience_of(storage_of(self.study)).limit(GRACE_SECONDS if len(self.requests_to_end) == 1 else 0.0)
        self.awake.set()

    def _stop_if_asked(self) -> None:
        """Act on requests to end and on the deadline."""
        if self.stopped is None and self.requests_to_end:
            first = self.requests_to_end[0]
            self._stop(Outcome("interrupted", "Ctrl-C" if first is signal.SIGINT else first.name))
        elif self.stopped is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self._stop(Outcome("timeout"))
        if len(self.requests_to_end) > 1:
            self.kill()

    def _flat(self) -> Outcome | None:
        """The outcome of a search that is flat: its workers, which find that too, finish what they train."""
        why = self.flatness.reached(records(self.study)) if self.flatness else None
        return None if why is None else Outcome("flat", why)

    def _kill_silent_workers(self) -> None:
        """Kill workers whose trials hang and, once they were asked to end, those that will not do so in time."""
        known = records(self.study)
        self.watchdog.look(known, time.monotonic())
        held = self._held(known)
        for worker in self.workers.values():
            trial = held.get(worker.index)
            if self.stopped is not None:
                asked = time.monotonic() - self.stopped
                if asked > GRACE_SECONDS or self.watchdog.is_quiet(trial, asked):
                    worker.kill()
            elif trial is not None and (hangs := self.watchdog.hangs(trial)) is not None:
                self.hung[worker.index] = hangs
                worker.kill()

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
            self._stop(Outcome("errors", report.message, report.details))
        elif report.ending == "exhausted":  # what the other workers train is still worth finishing
            self.outcome = self.outcome or Outcome("exhausted", report.message)

    def _lost_storage(self, worker: Worker, report: WorkerReport) -> None:
        """End the search, since the worker has waited for the storage as long as anyone shall."""
        self._stop(Outcome("storage", report.message))
        patience_of(storage_of(self.study)).limit(0.0)
        self._put_back(worker)

    def _put_back(self, worker: Worker) -> None:
        """Make the dead worker's trial wait again: the worker was killed on purpose, or its machine was lost."""
        if (identity := worker.identity()) is not None:
            release(self.study, identity)

    def _died(self, worker: Worker, ended: Ended) -> None:
        """Fail the trial that the worker held, and give up the search if workers do nothing but die."""
        identity, hung = worker.identity(), self.hung.pop(worker.index, None)
        how = ended.how if hung is None else f"killed, since {hung}"
        if identity is not None:
            blame(self.study, identity, *(("hung", hung) if hung is not None else ()))
        failures = repeated_failure(self.study, self.job.since, (identity or {}).get("host"))
        if self.deaths.add(finished(self.study)) >= MOST_DEATHS:
            last = f"the last one's log, {ended.log}, ends: {ended.log_end}"
            self._stop(Outcome("deaths", f"{MOST_DEATHS} workers died in a row ({how}); {last}"))
        elif failures is not None:
            self._stop(Outcome("errors", failures.message, failures.details))

    def _reclaim_now_and_then(self) -> None:
        if time.monotonic() - self.reclaimed > RECLAIM_SECONDS:
            self.reclaimed = time.monotonic()
            write_supervised(self.study, time.time())  # a disk that is full still lets this process read
            reclaim(self.study, [identity for worker in self.workers.values() if (identity := worker.identity())])

    def _start_workers(self) -> None:
        """Start as many workers as there are trials that they can claim, within what the engine has room for."""
        held = self._held(records(self.study))
        others = [trial for index, trial in held.items() if self.engine.takes(index) != "texts"]
        training = sum(trial.at is not None or bool(trial.curve) for trial in others)
        for index in range(self.engine.capacity(len(others), training)):
            if index not in self.workers and self._is_wanted(self.engine.takes(index), held):
                self.workers[index] = self.engine.start(self.job, index)

    def _is_wanted(self, takes: Takes, held: Collection[int]) -> bool:
        """Whether there is a trial to claim beside those that workers without one are about to claim.

        In a space that holds nothing new, text methods may still wait for their own worker.
        """
        if self.outcome is not None and (self.outcome.how, takes) != ("exhausted", "texts"):
            return False
        starting = sum(self.engine.takes(index) == takes for index in self.workers if index not in held)
        return claimable(self.study, self.job.budget, takes) > starting

    def _held(self, known: Iterable[Record]) -> dict[int, Record]:
        """Place of each worker that holds a trial → that trial."""
        trials = {process_of(record.worker): record for record in known if record.state == "running" and record.worker}
        places = {index: process_of(worker.identity()) for index, worker in self.workers.items()}
        return {index: trials[process] for index, process in places.items() if process in trials}

    def _waits_for_others(self) -> bool:
        """Whether to wait for other searches, dead ones too, that hold the last trials; says which trials those are."""
        if is_over(self.study, self.job.budget):
            return False
        lost = None if self.until_done else may_be_lost(self.study)  # as when a pod comes back under another name
        running = [r for r in records(self.study) if r.state == "running" and (lost is None or r.number in lost)]
        numbers = [record.number for record in running]
        if numbers and numbers != self.awaited:
            self.say(f"waiting for other searches: {trials_in_words(running)}; a trial without a worker is taken over")
        self.awaited = numbers
        return self.until_done or bool(numbers)
