"""What becomes of a trial whose worker is gone: marked `killed`, and its configuration tried once more.

Optuna's own heartbeat does nothing for trials that are asked for and told, so a worker writes one here.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.storage.claims import withdraw

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
UNNAMED_SECONDS = 10.0
"""After this long without a worker's name on it, a trial's worker was killed in the moment of claiming it."""

INHERITED = ("config", "fixed", "baseline", "default")
"""What a second try has in common with the first."""


def identity(device: str) -> dict[str, Any]:
    """Which process this is, so that another one on the same machine can tell whether it still runs."""
    import psutil

    process = psutil.Process()
    return {"pid": process.pid, "host": host(), "started": process.create_time(), "device": device}


def host() -> str:
    """The machine, and in a container the container: process ids mean something only within."""
    namespace = Path("/proc/self/ns/pid")
    suffix = f"/{namespace.readlink().name.strip('pid:[]')}" if namespace.is_symlink() else ""
    return socket.gethostname() + suffix


def is_gone(worker: Mapping[str, Any]) -> bool | None:
    """Whether the worker's process has ended; None if it is on another machine. A reused process id is seen through."""
    import psutil

    if worker.get("host") != host():
        return None
    try:
        process = psutil.Process(worker["pid"])
        return abs(process.create_time() - worker["started"]) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_stale(trial: FrozenTrial, now: float) -> bool:
    """Whether nobody trains this RUNNING trial any more."""
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    worker = trial.user_attrs.get("worker")
    if not worker:
        return now - started > UNNAMED_SECONDS
    gone = is_gone(worker)
    if gone is not None:
        return gone
    return now - (trial.user_attrs.get("heartbeat") or started) > STALE_SECONDS


def reclaim(study: Study) -> list[int]:
    """Fail every trial whose worker is gone, and enqueue its configuration again unless that was tried before.

    Returns:
        The numbers of the trials that were reclaimed.
    """
    from optuna.trial import TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    now = time.time()
    return [trial.number for trial in running if is_stale(trial, now) and _reclaim(study, trial)]


def retry(study: Study, trial: FrozenTrial) -> int | None:
    """Enqueue the configuration of `trial` once more; the new trial's id, None if it has had its second chance."""
    from optuna.trial import TrialState, create_trial

    if trial.user_attrs.get("retry_of") is not None or not {"config", "fixed"} & set(trial.user_attrs):
        return None
    attrs = {name: trial.user_attrs[name] for name in INHERITED if name in trial.user_attrs}
    again = create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={**attrs, "retry_of": trial.number},
        system_attrs=trial.system_attrs,
    )
    return study._storage.create_new_trial(study._study_id, template_trial=again)


def release(study: Study, pid: int) -> None:
    """Put back what a process of this machine held that was killed on purpose: its configuration is not to blame."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get("worker") or {}
        if (worker.get("pid"), worker.get("host")) == (pid, host()):
            put_back(study, trial._trial_id)


def put_back(study: Study, trial_id: int) -> None:
    """Make a trial that was interrupted wait again, as if it had not been started."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    storage = study._storage
    try:
        for name in ("curve", "worker", "heartbeat"):
            storage.set_trial_user_attr(trial_id, name, None)
        storage.set_trial_state_values(trial_id, TrialState.WAITING)
    except UpdateFinishedTrialError:
        return  # another process took this worker for dead, and has enqueued the configuration itself


def _reclaim(study: Study, trial: FrozenTrial) -> bool:
    """The second try is enqueued before the first is failed: killed in between, nothing is lost, at worst met twice."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    storage = study._storage
    again = retry(study, trial)
    try:
        if not {"config", "fixed"} & set(trial.user_attrs):
            withdraw(study, trial._trial_id, "withdrawn", "its worker ended before it had a configuration")
            return True
        message = "its worker process was killed" + ("" if again is None else "; its configuration is tried once more")
        storage.set_trial_user_attr(trial._trial_id, "failure", {"kind": "killed", "message": message})
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        if again is not None:
            with contextlib.suppress(UpdateFinishedTrialError):
                withdraw(study, again, "withdrawn", f"trial {trial.number} was reclaimed by another process")
        return False
    return True


class Heartbeat(threading.Thread):
    """Writes a sign of life onto the trial in hand, through whatever the database does meanwhile."""

    def __init__(self, storage: BaseStorage, interval: float = HEARTBEAT_SECONDS) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._storage = storage
        self._interval = interval
        self._trial_id: int | None = None
        self._lost: int | None = None
        self._closed = threading.Event()

    def hold(self, trial_id: int | None) -> None:
        """From now on keep this trial alive; None for none."""
        self._trial_id = trial_id
        if trial_id is not None:
            self._beat(trial_id)

    def lost(self) -> bool:
        """Whether another process took this worker for dead and failed the trial in hand."""
        return self._trial_id is not None and self._lost == self._trial_id

    def close(self) -> None:
        self._closed.set()

    def run(self) -> None:
        while not self._closed.wait(self._interval):
            trial_id = self._trial_id
            if trial_id is not None:
                self._beat(trial_id)

    def _beat(self, trial_id: int) -> None:
        from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._storage.set_trial_user_attr(trial_id, "heartbeat", time.time())
        except UpdateFinishedTrialError:
            self._lost = trial_id
        except (StorageInternalError, SQLAlchemyError) as error:
            print(f"heartbeat of trial id {trial_id} not written: {error}", file=sys.stderr)
