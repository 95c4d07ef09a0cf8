"""Workers whose training is made up and sleeps, in the product's own loop, and what each of their calls took."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from benchmarks import filled
from benchmarks.databases import Database

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.search import execute
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.database import open_storage, reopen_study
from peftsearch.storage.liveness.heartbeat import Heartbeat
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.takes import Takes
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.suggest import suggest
from peftsearch.workers import supervisor, worker
from peftsearch.workers.engine import Ended
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.search_task import SearchTask, read_history
from peftsearch.workers.task import Alive

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

EPOCHS = 8

HURRY = "hurry"
"""A file in the folder of signals, after which no trial takes any time."""

Call = tuple[float, float, int, float, float]
"""Wall seconds, the thread's processor seconds, statements, the seconds in which the thread waited for a core of this
machine, and the unix time of the end."""


@dataclass
class Meter:
    """What each call took, by its name."""

    found: dict[str, list[Call]] = field(default_factory=dict)
    _own: threading.local = field(default_factory=threading.local)

    def count_statements(self) -> None:
        """Count the statements of each thread from now on."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "before_cursor_execute", lambda *_: setattr(self._own, "count", self._count() + 1))

    def now(self) -> tuple[float, float, int, float]:
        return time.perf_counter(), time.thread_time(), self._count(), _waited_for_a_core()

    def took(self, name: str, since: tuple[float, float, int, float]) -> None:
        """Record a call that began at `since`."""
        wall, processor, statements, waited = (now - then for now, then in zip(self.now(), since, strict=True))
        self.found.setdefault(name, []).append((wall, processor, int(statements), waited, time.time()))

    def measured(self, name: str, call: Callable[[], Any]) -> Any:
        since = self.now()
        try:
            return call()
        finally:
            self.took(name, since)

    def _count(self) -> int:
        return getattr(self._own, "count", 0)


def _waited_for_a_core() -> float:
    """For how many seconds this thread could have run and another one had the core."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


@dataclass(frozen=True)
class Result:
    """What made-up training returns."""

    measurement: Measurement
    predictions: None = None

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)


@dataclass
class MadeUpTask:
    """A search's task whose trials sleep for `seconds`, and whose calls to the storage are measured.

    Attributes:
        share: how much of its time the first trial takes, so that not all workers do the same at the same moment.
        signals: the folder in which the worker tells that it has claimed a trial, and in which the file `HURRY` ends
            every trial after the epoch that it is in.
    """

    study: Study
    spec: StudySpec
    job: Job
    meter: Meter
    seconds: float
    share: float = 1.0
    signals: Path = Path("/nowhere")

    def claim(self, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
        claimed: tuple[Trial, TrialConfig] | None
        claimed = self.meter.measured("claim", lambda: self._task(self._train).claim(worker))
        if self.signals.is_dir():
            (self.signals / f"claimed-{os.getpid()}").touch()
        return claimed

    def run(self, trial: Trial, config: TrialConfig, alive: Alive) -> str | None:
        ended = [self.meter.now()]

        def train(*arguments: Any) -> Result:
            try:
                return self._train(*arguments)
            finally:
                ended[0] = self.meter.now()

        failure = self._task(train).run(trial, config, alive)
        self.meter.took("tell", ended[0])
        return failure

    def _task(self, train: Any) -> SearchTask:
        return SearchTask(self.study, self.spec, self.job, train)

    def _train(
        self, config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> Result:
        curve, measured = filled.outcome(config, EPOCHS)
        share, self.share = self.share, 1.0
        for epoch in curve:
            self._sleep(share * self.seconds / EPOCHS, should_stop)
            since = self.meter.now()
            report(epoch)
            self.meter.took("report", since)
            if (self.signals / HURRY).exists():
                break
        return Result(measured)

    def _sleep(self, seconds: float, should_stop: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (self.signals / HURRY).exists():
            if should_stop():
                raise Interrupted("asked to stop")
            time.sleep(min(left, 1.0))


def never_stop() -> None:
    """Let the pruning rule look at every epoch, but let every trial go on, so that each has all of its epochs."""
    decide = execute.decide

    def looked(*arguments: Any, **named: Any) -> None:
        decide(*arguments, **named)

    execute.decide = looked


def new_study(found: Database, folder: Path, trials: int) -> Job:
    """Fill the database with a study of so many finished trials; what a worker of it is told."""
    document = {**load_study("quickstart").document}
    document["training"] = {**document["training"], "epochs": EPOCHS, "early_stopping": None}
    document.pop("baselines", None)
    path = folder / "quickstart.yaml"
    path.write_text(yaml.safe_dump(document))
    spec = load_study(str(path))
    (folder / "runs").mkdir(exist_ok=True)
    file = Path(found.url.removeprefix("sqlite:///")) if found.server is None else folder / "runs" / "filled.db"
    filled.fill(spec, file, trials)
    if found.server is not None:
        open_storage(found.url)
        filled.copy_tables(f"sqlite:///{file}", found.direct)
        found.server.execute("CHECKPOINT")
    return Job(
        document=spec.document, path=str(path), name=spec.name, storage=found.url, budget=1_000_000,
        folder=str(folder / "runs" / spec.name), sampler="tpe", pruner="dominated", seed=0,
        startup_trials=spec.search.startup_trials, since=time.time(),
    )  # fmt: skip


def others_at_work(study: Study, spec: StudySpec, workers: int) -> None:
    """Add the running trials of so many workers, each in its fifth epoch."""
    from optuna.trial import TrialState, create_trial

    rng = random.Random(workers)
    for index in range(workers):
        draw = filled.Draw(rng)
        config = suggest(spec, draw)  # type: ignore[arg-type]
        curve, _ = filled.outcome(config, EPOCHS)
        worker = {"pid": 1000 + index, "host": "elsewhere/1", "started": 1.7e9, "device": "auto", "parent": None}
        attributes = {
            "worker": worker, "heartbeat": time.time() + 1e6, "config": config.to_dict(),
            "curve": [epoch.to_dict() for epoch in curve[:4]],
            "progress": {"last_step": time.time() + 1e6, "slowest_step": 0.3, "at": None},
        }  # fmt: skip
        params = {name: value for name, (_, value) in draw.drawn.items()}
        distributions = {name: distribution for name, (distribution, _) in draw.drawn.items()}
        study.add_trial(
            create_trial(state=TrialState.RUNNING, user_attrs=attributes, params=params, distributions=distributions)
        )


def task_of(job: Job, meter: Meter) -> MadeUpTask:
    """Open the study as a worker does."""
    study = reopen_study(job.storage, job.name, job.storage_patience)
    known = read_history(study)
    study.sampler = make_sampler(job.sampler, job.seed, job.startup_trials, worker=0, trials=known)
    return MadeUpTask(study, load_study(job.path), job, meter, 0.0)


def supervise(job: Job, workers: int, seconds: float, a_second: float, folder: Path) -> None:
    """Be one machine: a supervisor and its workers, which are forks of this process.

    Args:
        seconds: of a trial.
        a_second: how many workers are started a second.
        folder: each process writes what its calls took into `said` in it; see `MadeUpTask.signals`.
    """
    meter = Meter()
    step = supervisor.Supervisor.step
    supervisor.Supervisor.step = lambda self: meter.measured("look", lambda: step(self))  # type: ignore[method-assign]
    study = reopen_study(job.storage, job.name, job.storage_patience)
    forks = Forks(study, load_study(job.path), read_history(study), workers, seconds, folder, a_second)
    outcome = supervisor.run_workers(study, job, forks)
    _tell(folder, outcome.how, meter)


@dataclass
class Forks:
    """An engine whose workers are forks of this process, so that they share the memory of what is loaded and read.

    Args:
        study: as the supervisor has opened it.
        known: how many trials it holds, all of which have been read.
        a_second: how many workers are started a second, as machines come one after the other.
    """

    study: Study
    spec: StudySpec
    known: int
    workers: int
    seconds: float
    folder: Path
    a_second: float
    began: float = field(default_factory=time.monotonic)

    def capacity(self, holding: int, training: int) -> int:
        return min(self.workers, 1 + int(self.a_second * (time.monotonic() - self.began)))

    def takes(self, index: int) -> Takes:
        return "all"

    def start(self, job: Job, index: int) -> Fork:
        pid = os.fork()
        if not pid:
            try:
                # Not in the supervisor's context, in which its look at the trials goes on.
                Context().run(self._work, job.for_worker(index, 1))
                os._exit(0)
            finally:
                os._exit(1)
        return Fork(index, pid)

    def _work(self, job: Job) -> None:
        """Be one worker: claim, train and tell until the budget is spent."""
        _leave_connections(self.study)
        meter, beat = Meter(), Heartbeat.beat
        Heartbeat.beat = lambda self: meter.measured("beat", lambda: beat(self))  # type: ignore[method-assign]
        rng = random.Random(os.getpid())
        seed = rng.randrange(1 << 30)
        self.study.sampler = make_sampler(job.sampler, seed, job.startup_trials, worker=job.index, trials=self.known)
        signals = self.folder / "signals"
        task = MadeUpTask(self.study, self.spec, job, meter, self.seconds, rng.random(), signals)
        report = worker.work(task.study, task, job, threading.Event())
        _tell(self.folder, report.ending, meter)


def _leave_connections(study: Study) -> None:
    """Leave the parent its connections to the database; this process makes its own."""
    storage = storage_of(study).wrapped  # type: ignore[attr-defined]
    storage.engine.dispose(close=False)
    storage.scoped_session.registry.clear()


def _tell(folder: Path, how: str, meter: Meter) -> None:
    (folder / "said" / f"{os.getpid()}.json").write_text(json.dumps({"how": how, "found": meter.found}))


@dataclass
class Fork:
    index: int
    pid: int
    ended: Ended | None = None

    def identity(self) -> dict[str, Any]:
        return {"pid": self.pid, "host": host()}

    def poll(self) -> Ended | None:
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = Ended(WorkerReport("budget")) if status == 0 else Ended(None, f"status {status}")
        return self.ended

    def interrupt(self) -> None:
        self.kill()

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
