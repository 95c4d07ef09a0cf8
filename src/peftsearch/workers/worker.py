"""A worker: a process with a device that claims a trial, trains it, tells the storage the result, and claims the next.

The local engine starts it as `python -m peftsearch.workers.worker` and writes a `Job` to its standard input. That input
stays open for as long as the parent lives; at its end the worker stops as if it was asked to. Workers share nothing but
the storage.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted, OutOfTime, StorageLost, UserError
from peftsearch.core.files.disk import DiskFull, DiskRefuses
from peftsearch.core.progress import ShouldStop
from peftsearch.search.repeated_failure import repeated_failure
from peftsearch.storage.claims import SpaceExhausted
from peftsearch.storage.database import reopen_study
from peftsearch.storage.liveness.heartbeat import Heartbeat
from peftsearch.storage.liveness.recovery import put_back
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.study.spec import parse_study
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.search_task import real_search
from peftsearch.workers.signals import requests_to_end
from peftsearch.workers.task import Alive, MakeTask, Task
from peftsearch.workers.watchdog import heartbeat_interval

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

ORPHAN_SECONDS = 20.0
"""How long a worker may take to put its trial back once its parent is gone."""

SEARCH: MakeTask = real_search
"""The worker of a search trains on the study's data, and times its device before its first trial."""


def work(study: Study, task: Task, job: Job, stop: threading.Event) -> WorkerReport:
    """Claim trials, train them and tell their results, until none is left or `stop` is set.

    Args:
        task: says how a trial is claimed and trained.
        stop: once it is set, the trial that is being trained is put back.

    Returns:
        Why the worker ends.
    """
    me = identity(job.device, job.parent)
    heartbeat = Heartbeat(study, heartbeat_interval(job.trial_timeout))
    heartbeat.start()
    try:
        while not (stop.is_set() or job.is_out_of_time):
            claimed = task.claim(me)
            if claimed is None:
                return WorkerReport("budget")
            failure = _run_held(study, *claimed, task, job, stop, heartbeat)
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
    study: Study, trial: Trial, config: TrialConfig, task: Task, job: Job, stop: threading.Event, heartbeat: Heartbeat
) -> str | None:
    """Run one trial while the heartbeat shows that it is alive.

    Once the time limit has passed, it ends with the epochs that it has, although the parent asks it to stop.

    Returns:
        The kind of its failure; None if it did not fail.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    def should_stop() -> bool:
        heartbeat.step()
        if job.is_out_of_time and not heartbeat.lost():
            raise OutOfTime("the time limit of the search has passed")
        return stop.is_set() or heartbeat.lost()

    heartbeat.hold(trial.number)
    try:
        return task.run(trial, config, Alive(heartbeat.step, ShouldStop(should_stop, heartbeat.reached)))
    except Interrupted:
        put_back(study, trial.number)
    except (DiskFull, DiskRefuses):  # the next trial would fail of it too
        put_back(study, trial.number)
        raise
    except UpdateFinishedTrialError:
        print(f"trial {trial.number}: another process took this worker for dead and failed the trial", file=sys.stderr)
    finally:
        heartbeat.hold(None)
    return None


def run_job(job: Job, stop: threading.Event, make: MakeTask = SEARCH) -> WorkerReport:
    """Do the job: open the study, load the data, train trials.

    Args:
        stop: once it is set, the worker puts its trial back and ends.
        make: makes what the worker does with the study's trials.

    Returns:
        Why the worker ends; `refused` if the study, its storage or its data cannot be used.
    """
    try:
        spec = parse_study(job.document, Path(job.path))
        study = reopen_study(job.storage, job.name, job.storage_patience)
        return work(study, make(study, spec, job), job, stop)
    except UserError as error:
        return WorkerReport.refused(error)
    except DiskFull as full:
        return WorkerReport("errors", str(full))
    except StorageLost as lost:
        return WorkerReport("storage", str(lost))


def main(make: MakeTask = SEARCH) -> None:
    """Read a job from the standard input, do it, and write the report to the standard output.

    What libraries print goes to the log, which is the standard error.

    Args:
        make: makes what the worker does with the study's trials; tests have their own.
    """
    report_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stop = threading.Event()
    with requests_to_end(lambda _: stop.set()), report_to:
        job = Job.from_line(sys.stdin.readline())
        threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
        report_to.write(run_job(job, stop, make).to_line())


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
