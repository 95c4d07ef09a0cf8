"""Workers as child processes of this one, watched: as many as the devices have room for, replaced when they die."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Literal

from peftsearch.core.errors import UserError
from peftsearch.storage.claims import claimable, finished
from peftsearch.storage.records import Record, records
from peftsearch.storage.recovery import reclaim, release
from peftsearch.workers import devices
from peftsearch.workers.gpu_packing import Packing
from peftsearch.workers.job import Job
from peftsearch.workers.process import Child, how_it_ended, last_words, spawn

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TICK_SECONDS = 1.0
RECLAIM_SECONDS = 10.0
GRACE_SECONDS = 30.0
"""How long workers have to put their trials back after an interruption, before they are killed."""

DEATHS = 3
"""Workers that die in a row, with no trial finished in between, before the search is given up."""

How = Literal["done", "interrupted", "timeout", "exhausted", "errors", "deaths"]


@dataclass(frozen=True)
class Outcome:
    """How a search ended, and why where it was not simply `done`."""

    how: How
    message: str = ""


def run_workers(
    study: Study,
    job: Job,
    *,
    workers: int | None = None,
    per_device: int | None = None,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    timeout: float | None = None,
) -> Outcome:
    """Search with worker processes until the budget is spent.

    The first Ctrl-C asks the workers to put their trials back and waits for them; the second kills them.

    Args:
        study: as `setup.prepare` leaves it; the same that `job` names.
        workers: default `per_device` for each GPU, or for the CPU where there is none.
        per_device: default 1 for the CPU; on GPUs as many as they are seen to have room for.
        on_tick: called about once a second with every trial as it stands.
        timeout: seconds after which to act as at the first Ctrl-C.

    Raises:
        UserError: the workers cannot do the job at all, say because the data is not there.
    """
    packing = None if workers or per_device else _packing()
    count = packing.workers if packing else workers or devices.default_workers(per_device or 1)
    search = _Search(study, job, count, time.monotonic() + timeout if timeout is not None else None, packing)
    with _signals(search.on_signal):
        try:
            while search.step():
                on_tick(records(study))
                search.wait()
        finally:
            search.kill()
        on_tick(records(study))
    if search.refusal is not None:
        raise UserError(search.refusal)
    return search.outcome or Outcome("done")


@dataclass
class _Search:
    """The state of one run of `run_workers`."""

    study: Study
    job: Job
    workers: int
    deadline: float | None
    packing: Packing | None = None
    children: dict[int, Child] = field(default_factory=dict)
    outcome: Outcome | None = None
    refusal: str | None = None
    signals: int = 0
    deaths: int = 0
    finished: int = 0
    reclaimed: float = field(default_factory=time.monotonic)
    stopped: float | None = None
    awake: threading.Event = field(default_factory=threading.Event)

    def step(self) -> bool:
        """Look after the workers once; False when there is nothing left to look after."""
        for child in [c for c in self.children.values() if c.process.poll() is not None]:
            self._ended(child)
        self._obey()
        if self.stopped is None:
            self._reclaim_now_and_then()
        if self.outcome is None:
            self._hire()
        return bool(self.children) or (self.outcome is None and self._unsettled())

    def wait(self) -> None:
        self.awake.wait(TICK_SECONDS)
        self.awake.clear()

    def kill(self) -> None:
        for child in self.children.values():
            child.kill()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1
        self.awake.set()

    def _obey(self) -> None:
        """Act on Ctrl-C, the deadline, and workers that outstay their grace."""
        now = time.monotonic()
        if self.signals and self.stopped is None:
            self._stop(Outcome("interrupted"))
        elif self.deadline is not None and now >= self.deadline and self.stopped is None:
            self._stop(Outcome("timeout"))
        if self.signals > 1 or (self.stopped is not None and now - self.stopped > GRACE_SECONDS):
            self.kill()

    def _stop(self, outcome: Outcome) -> None:
        self.outcome = self.outcome or outcome
        self.stopped = time.monotonic()
        for child in self.children.values():
            child.interrupt()

    def _ended(self, child: Child) -> None:
        del self.children[child.index]
        report = child.report()
        if report is None:
            self._died(child)
        elif report.ending == "refused":
            self.refusal = report.message
            self._stop(Outcome("errors", report.message))
        elif report.ending == "errors":
            self._stop(Outcome("errors", report.message))
        elif report.ending == "exhausted":  # what the others are training is still worth its end
            self.outcome = self.outcome or Outcome("exhausted", report.message)

    def _died(self, child: Child) -> None:
        """The trial it held is failed, and its configuration waits again for the worker that comes next."""
        if self.stopped is not None:
            release(self.study, child.process.pid)
            return
        reclaim(self.study)
        done = finished(self.study)
        self.deaths = 1 if done > self.finished else self.deaths + 1
        self.finished = done
        if self.deaths >= DEATHS:
            self._stop(
                Outcome("deaths", f"{DEATHS} workers died in a row ({how_it_ended(child)}); {last_words(child.log)}")
            )

    def _reclaim_now_and_then(self) -> None:
        if time.monotonic() - self.reclaimed > RECLAIM_SECONDS:
            self.reclaimed = time.monotonic()
            reclaim(self.study)

    def _hire(self) -> None:
        """As many workers as there are trials to claim, and no more than asked for or than the GPUs have room for."""
        if self.packing is not None:
            self.packing.look(self._training(), time.monotonic())
            self.workers = self.packing.workers
        free = [index for index in range(self.workers) if index not in self.children]
        for index in free[: self._vacancies()] if free else ():  # looking for vacancies reads every trial
            # With packing nobody knows how many will share the cores, which there only feed the GPU: each may use all.
            self.children[index] = spawn(self.job, index, sharing=1 if self.packing else self.workers)

    def _vacancies(self) -> int:
        """Workers that are still starting have not claimed anything, so each of them fills one."""
        starting = len(self.children) - self._training()
        return max(0, claimable(self.study, self.job.budget) - starting)

    def _training(self) -> int:
        """Workers that hold a trial."""
        holding = {(trial.user_attrs.get("worker") or {}).get("pid") for trial in self._running()}
        return sum(child.process.pid in holding for child in self.children.values())

    def _unsettled(self) -> bool:
        """Whether a trial runs without a worker's name: it was claimed by one that died in that moment."""
        return any(not trial.user_attrs.get("worker") for trial in self._running())

    def _running(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _packing() -> Packing | None:
    gpus = devices.gpus()
    return Packing(gpus, len(devices.cores()), devices.usage) if gpus else None


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Ctrl-C, a polite kill and a closed terminal go to `handler`; only a main thread can have that."""
    numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        numbers = ()
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
