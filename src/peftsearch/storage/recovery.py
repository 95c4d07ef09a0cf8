"""What becomes of a trial whose worker is gone: it is failed as `killed`, and its configuration is tried once more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.optuna_access import frozen_trial, storage_of, study_id, trial_id
from peftsearch.storage.trial_attributes import (
    WITHDRAWN,
    clear_attempt,
    has_configuration,
    heartbeat_of,
    is_retry,
    mark_failed,
    retry_attributes,
    worker_of,
)
from peftsearch.storage.worker_identity import is_gone, process_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STALE_SECONDS = 60.0
"""A worker on another machine is taken for dead after this long without a heartbeat."""

UNNAMED_SECONDS = 10.0
"""A running trial without a worker after this long was claimed by one that died in that moment."""


def is_stale(trial: FrozenTrial, now: float, *, silence_counts: bool = True) -> bool:
    """Whether no worker trains this RUNNING trial any more.

    Args:
        now: unix time.
        silence_counts: whether living workers could write to the storage, so that one that has not is dead.
    """
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    worker = worker_of(trial)
    gone = is_gone(worker) if worker else None
    if gone is not None:
        return gone
    if not silence_counts:
        return False
    if not worker:
        return now - started > UNNAMED_SECONDS
    return now - (heartbeat_of(trial) or started) > STALE_SECONDS


def reclaim(study: Study, dead: Mapping[str, Any] | None = None) -> list[int]:
    """Fail every trial whose worker is gone, and enqueue its configuration again unless it is a second try.

    After an outage of the storage, workers have `STALE_SECONDS` to write that they are alive.

    Args:
        dead: a worker of which the caller knows that it is gone, on whichever machine it was.

    Returns:
        The numbers of the trials that were reclaimed.
    """
    running, now = _running(study), time.time()
    silence_counts = patience_of(storage_of(study)).seconds_without_trouble() > STALE_SECONDS
    gone = [t for t in running if _is_of(t, dead) or is_stale(t, now, silence_counts=silence_counts)]
    return [trial.number for trial in gone if _reclaim(study, trial)]


def retry(study: Study, number: int) -> int | None:
    """Enqueue the configuration of a trial once more.

    Returns:
        The number of the new trial; None if the trial is a second try already, or has no configuration.
    """
    return _retry(study, frozen_trial(study, number))


def running_workers(study: Study) -> list[Mapping[str, Any]]:
    """The worker of each running trial; an empty one where it died before it wrote its name, or has not done so yet."""
    return [worker_of(trial) for trial in _running(study)]


def release(study: Study, worker: Mapping[str, Any]) -> None:
    """Put back the trials of a worker that is gone for a reason for which no configuration is to blame."""
    for trial in _running(study):
        if _is_of(trial, worker):
            put_back(study, trial.number)


def put_back(study: Study, number: int) -> None:
    """Make a trial that was interrupted wait again, as if it had not been started."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    try:
        clear_attempt(study, number)
        storage_of(study).set_trial_state_values(trial_id(study, number), TrialState.WAITING)
    except UpdateFinishedTrialError:
        return  # another process took this worker for dead, and has enqueued the configuration itself


def _reclaim(study: Study, trial: FrozenTrial) -> bool:
    """Fail `trial`, after its second try was enqueued: if this process is killed in between, nothing is lost."""
    from optuna.exceptions import UpdateFinishedTrialError

    if not worker_of(trial) and has_configuration(trial):
        put_back(study, trial.number)  # it was claimed and never trained
        return True
    again = _retry(study, trial)
    try:
        if not has_configuration(trial):
            mark_failed(study, trial.number, WITHDRAWN, "its worker ended before it had a configuration")
            return True
        message = "its worker process was killed" + ("" if again is None else "; its configuration is tried once more")
        mark_failed(study, trial.number, "killed", message)
    except UpdateFinishedTrialError:
        if again is not None:
            with contextlib.suppress(UpdateFinishedTrialError):
                mark_failed(study, again, WITHDRAWN, f"trial {trial.number} was reclaimed by another process")
        return False
    return True


def _retry(study: Study, trial: FrozenTrial) -> int | None:
    from optuna.trial import TrialState, create_trial

    if is_retry(trial) or not has_configuration(trial):
        return None
    again = create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=retry_attributes(trial),
        system_attrs=trial.system_attrs,
    )
    storage = storage_of(study)
    return storage.get_trial_number_from_id(storage.create_new_trial(study_id(study), template_trial=again))


def _is_of(trial: FrozenTrial, worker: Mapping[str, Any] | None) -> bool:
    return worker is not None and process_of(worker_of(trial)) == process_of(worker)


def _running(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
