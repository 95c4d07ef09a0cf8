"""A worker: a process with a device that claims a trial, trains it, tells it, and claims the next.

Started as `python -m peftsearch.workers.worker` with a `Job` on its standard input, which stays open: when it ends, the
parent is gone and the worker stops as if asked to. Workers share nothing but the storage.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted, UserError
from peftsearch.core.measurement import EpochReport
from peftsearch.search import execute
from peftsearch.search.execute import Train
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.claims import SpaceExhausted, claim_new
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.heartbeat import Heartbeat
from peftsearch.storage.prepare import check_space
from peftsearch.storage.records import records, without_collector
from peftsearch.storage.recovery import put_back
from peftsearch.storage.worker_identity import identity
from peftsearch.study.spec import StudySpec, parse_study
from peftsearch.study.suggest import suggest
from peftsearch.workers.job import Job, WorkerReport

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

Trainer = Callable[[StudySpec, Job], Train]
"""Makes the function that trains a trial of the study, once for all of a worker's trials."""


def work(study: Study, spec: StudySpec, job: Job, train: Train, stop: threading.Event) -> WorkerReport:
    """Claim, train and tell until the budget is spent or `stop` is set; a trial in hand is then put back."""
    me = identity(job.device)
    heartbeat = Heartbeat(study)
    heartbeat.start()
    try:
        while not stop.is_set():
            claimed = claim_new(study, job.budget, me, partial(suggest, spec))
            if claimed is None:
                return WorkerReport("budget")
            failure = _run_held(study, *claimed, job, train, stop, heartbeat)
            error = execute.repeated_error(study, job.since) if failure == "error" else None  # it reads every trial
            if error is not None:
                return WorkerReport("errors", f"{execute.EQUAL_ERRORS} trials in a row failed alike: {error}")
    except SpaceExhausted as exhausted:
        return WorkerReport("exhausted", str(exhausted))
    finally:
        heartbeat.close()
    return WorkerReport("interrupted")


def _run_held(
    study: Study, trial: Trial, config: TrialConfig, job: Job, train: Train, stop: threading.Event, heartbeat: Heartbeat
) -> str | None:
    """Run one trial while the heartbeat keeps it; the kind of its failure, if it failed."""
    from optuna.exceptions import UpdateFinishedTrialError

    def should_stop() -> bool:
        return stop.is_set() or heartbeat.lost()

    heartbeat.hold(trial.number)
    try:
        return execute.run(study, trial, config, train, job.pruner, job.run_folder.weights, should_stop)
    except Interrupted:
        put_back(study, trial.number)
    except UpdateFinishedTrialError:
        print(f"trial {trial.number}: another process took this one for dead and failed the trial", file=sys.stderr)
    finally:
        heartbeat.hold(None)
    return None


def real_trainer(spec: StudySpec, job: Job) -> Train:
    """Trains for real, on data that is loaded once for all of this worker's trials."""
    from peftsearch.data.load import load_data

    data = load_data(spec.data, spec.folder, job.run_folder.data)  # before the seconds that torch takes to import

    import torch

    from peftsearch.training.text_trial import TextTrialResult
    from peftsearch.training.trial import TrialResult, run_trial

    torch.set_num_threads(job.threads)

    def train(
        config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> TrialResult | TextTrialResult:
        return run_trial(
            config, data, report, cache=job.run_folder.tokens, device=job.device, should_stop=should_stop,
            cache_size=job.cache_size, exact=job.exact,
        )  # fmt: skip

    return train


def read_history(study: Study) -> int:
    """Read all trials there are, and say how many; what is loaded by now is then no garbage collector's business.

    A trial collects garbage before it measures its memory: 0.3 s each time if that looks through all the libraries, and
    half a second more if through ten thousand trials.
    """
    with without_collector():
        records(study)
        known = len(study.get_trials(deepcopy=False))
    gc.freeze()
    return known


def run_job(job: Job, stop: threading.Event, trainer: Trainer = real_trainer) -> WorkerReport:
    """Everything a worker does, from its job to its report.

    Args:
        stop: once it is set, the worker puts its trial back and ends.
        trainer: makes the function that trains a trial.
    """
    try:
        spec = parse_study(job.document, Path(job.path))
        study = open_study(open_storage(job.storage), job.name, spec.objectives)
        check_space(study, spec)
        train = trainer(spec, job)
    except UserError as error:
        return WorkerReport.refused(error)
    known = read_history(study)
    study.sampler = make_sampler(job.sampler, job.seed, job.startup_trials, worker=job.index, trials=known)
    return work(study, spec, job, train, stop)


def main(trainer: Trainer = real_trainer) -> None:
    """Read a job from the standard input, do it, and write the report to the standard output.

    What libraries print goes to the log, which is the standard error.

    Args:
        trainer: makes the function that trains a trial; tests have their own.
    """
    report_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    job = Job.from_line(sys.stdin.readline())
    threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
    with report_to:
        report_to.write(run_job(job, stop, trainer).to_line())


def _watch_parent(stop: threading.Event) -> None:
    """The parent never writes again: an end of file means that it is gone."""
    while os.read(0, 4096):  # not through sys.stdin, whose lock this thread would hold while the interpreter ends
        pass
    stop.set()


if __name__ == "__main__":
    main()
