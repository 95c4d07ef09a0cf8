"""A worker: a process with a device that claims a trial, trains it, tells the storage the result, and claims the next.

The local engine starts it as `python -m peftsearch.workers.worker` and writes a `Job` to its standard input. That input
stays open for as long as the parent lives; at its end the worker stops as if it was asked to. Workers share nothing but
the storage.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.disk import DiskFull
from peftsearch.core.errors import Interrupted, StorageLost, UserError
from peftsearch.core.measurement import EpochReport
from peftsearch.search import execute
from peftsearch.search.execute import Train
from peftsearch.search.repeated_failure import repeated_failure
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.claims import SpaceExhausted, claim_new
from peftsearch.storage.database import reopen_study
from peftsearch.storage.heartbeat import Heartbeat
from peftsearch.storage.prepare import check_space
from peftsearch.storage.records import records, without_collector
from peftsearch.storage.recovery import put_back
from peftsearch.storage.worker_identity import identity
from peftsearch.study.spec import StudySpec, parse_study
from peftsearch.study.suggest import misfit, suggest
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.signals import requests_to_end
from peftsearch.workers.watchdog import heartbeat_interval

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

ORPHAN_SECONDS = 20.0
"""How long a worker may take to put its trial back once its parent is gone."""

Report = Callable[[EpochReport], None]

Trainer = Callable[[StudySpec, Job], Train]
"""Makes the function that trains a trial of the study, once for all of a worker's trials."""


def work(study: Study, spec: StudySpec, job: Job, train: Train, stop: threading.Event) -> WorkerReport:
    """Claim trials, train them and tell their results, until the budget is spent or `stop` is set.

    Args:
        train: trains one trial.
        stop: once it is set, the trial that is being trained is put back.

    Returns:
        Why the worker ends.
    """
    me = identity(job.device, job.parent)
    heartbeat = Heartbeat(study, heartbeat_interval(job.trial_timeout))
    heartbeat.start()
    try:
        while not stop.is_set():
            claimed = claim_new(study, job.budget, me, partial(suggest, spec), partial(misfit, spec))
            if claimed is None:
                return WorkerReport("budget")
            failure = _run_held(study, *claimed, job, train, stop, heartbeat)
            failures = repeated_failure(study, job.since) if failure else None  # it reads every trial
            if failures is not None:
                return WorkerReport("errors", failures.message, failures.details)
    except SpaceExhausted as exhausted:
        return WorkerReport("exhausted", str(exhausted))
    except DiskFull as full:
        return WorkerReport("errors", str(full))
    finally:
        heartbeat.close()
    return WorkerReport("interrupted")


def _run_held(
    study: Study, trial: Trial, config: TrialConfig, job: Job, train: Train, stop: threading.Event, heartbeat: Heartbeat
) -> str | None:
    """Run one trial while the heartbeat shows that it is alive.

    Returns:
        The kind of its failure; None if it did not fail.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    def should_stop() -> bool:
        heartbeat.step()
        return stop.is_set() or heartbeat.lost()

    def train_alive(config: TrialConfig, report: Report, should_stop: Callable[[], bool]) -> execute.Result:
        def report_alive(epoch: EpochReport) -> None:
            heartbeat.step()
            report(epoch)

        return train(config, report_alive, should_stop)

    heartbeat.hold(trial.number)
    try:
        return execute.run(study, trial, config, train_alive, job.pruner, job.run_folder, should_stop)
    except Interrupted:
        put_back(study, trial.number)
    except DiskFull:
        put_back(study, trial.number)
        raise
    except UpdateFinishedTrialError:
        print(f"trial {trial.number}: another process took this worker for dead and failed the trial", file=sys.stderr)
    finally:
        heartbeat.hold(None)
    return None


def real_trainer(spec: StudySpec, job: Job) -> Train:
    """Make the function that trains a trial on the study's data, which is loaded once for all trials of this worker.

    Raises:
        UserError: the data cannot be used.
    """
    from peftsearch.data.load import load_data

    data = load_data(spec.data, spec.folder, job.run_folder.data)  # refused before torch, which takes seconds to import

    import torch

    from peftsearch.training.text_trial import TextTrialResult
    from peftsearch.training.trial import TrialResult, run_trial

    torch.set_num_threads(job.threads)

    def train(config: TrialConfig, report: Report, should_stop: Callable[[], bool]) -> TrialResult | TextTrialResult:
        return run_trial(
            config, data, report, cache=job.run_folder.tokens, device=job.device, should_stop=should_stop,
            cache_size=job.cache_size, exact=job.exact, constraints=spec.constraints,
        )  # fmt: skip

    return train


def read_history(study: Study) -> int:
    """Read all trials of the study, then take every object that exists by now out of garbage collection.

    Each trial collects garbage before it measures its memory. That takes 0.3 s each time if the garbage collector
    visits the objects of all libraries, and half a second more if it visits those of ten thousand trials.

    Returns:
        The number of trials.
    """
    with without_collector():
        records(study)
        known = len(study.get_trials(deepcopy=False))
    gc.freeze()
    return known


def run_job(job: Job, stop: threading.Event, trainer: Trainer = real_trainer) -> WorkerReport:
    """Do the job: open the study, load the data, train trials.

    Args:
        stop: once it is set, the worker puts its trial back and ends.
        trainer: makes the function that trains a trial.

    Returns:
        Why the worker ends; `refused` if the study, its storage or its data cannot be used.
    """
    try:
        spec = parse_study(job.document, Path(job.path))
        study = reopen_study(job.storage, job.name, job.storage_patience)
        check_space(study, spec)
        train = trainer(spec, job)
        known = read_history(study)
        study.sampler = make_sampler(job.sampler, job.seed, job.startup_trials, worker=job.index, trials=known)
        return work(study, spec, job, train, stop)
    except UserError as error:
        return WorkerReport.refused(error)
    except DiskFull as full:
        return WorkerReport("errors", str(full))
    except StorageLost as lost:
        return WorkerReport("storage", str(lost))


def main(trainer: Trainer = real_trainer) -> None:
    """Read a job from the standard input, do it, and write the report to the standard output.

    What libraries print goes to the log, which is the standard error.

    Args:
        trainer: makes the function that trains a trial; tests have their own.
    """
    report_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stop = threading.Event()
    with requests_to_end(lambda _: stop.set()), report_to:
        job = Job.from_line(sys.stdin.readline())
        threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
        report_to.write(run_job(job, stop, trainer).to_line())


def _watch_parent(stop: threading.Event) -> None:
    """Set `stop` when the parent is gone: it writes nothing after the job, so its pipe only ever ends.

    Nobody watches over this process any more, so it ends itself if it hangs.
    """
    while os.read(0, 4096):  # reading from sys.stdin would hold its lock while the interpreter ends
        pass
    stop.set()
    time.sleep(ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
