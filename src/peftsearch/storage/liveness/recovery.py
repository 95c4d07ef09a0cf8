"""What becomes of a trial whose worker is gone: it is failed, and its configuration is tried again.

Only the parent of a worker can tell that the worker alone died, as from the trial's own memory. It fails the trial as
`killed` and enqueues the configuration for a second and last try. Where the parent is gone too, or its machine, the
trial had no part in it: it is failed as `interrupted`, and its configuration is enqueued as if it had not been tried.
That happens `MOST_LOSSES` times at most: a trial that takes more memory than a container has ends all that is in it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from peftsearch.storage.artifacts.listed import without_artifacts
from peftsearch.storage.connection.looking import look_again
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.liveness.silence import listener_of
from peftsearch.storage.liveness.worker_identity import is_gone, is_this_process, process_of
from peftsearch.storage.optuna_access import add_waiting_trial, frozen_trial, storage_of, trial_id
from peftsearch.storage.trial_attributes import (
    WITHDRAWN,
    announce_failure,
    clear_attempt,
    has_configuration,
    heartbeat_of,
    is_retry,
    losses,
    mark_failed,
    retry_attributes,
    worker_of,
)

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STALE_SECONDS = 60.0
"""A worker on another machine is taken for dead after this long without a heartbeat, as seen here."""

MOST_LOSSES = 5
"""So many workers may be lost with one configuration before it is taken to have killed them."""

UNNAMED_SECONDS = 10.0
"""A running trial without a worker after this long was claimed by one that died in that moment."""


def is_stale(worker: Mapping[str, Any], unheard: float, *, silence_counts: bool = True) -> bool:
    """Whether no worker trains a RUNNING trial any more.

    Args:
        worker: the worker that claimed the trial; empty if none has written its name.
        unheard: for how many seconds it has not shown that it lives.
        silence_counts: whether living workers could write to the storage, so that one that has not is dead.
    """
    if not worker:
        return silence_counts and unheard > UNNAMED_SECONDS
    silent = silence_counts and unheard > STALE_SECONDS
    gone = is_gone(worker)
    if gone is None:
        return silent
    parent = worker.get("parent")
    if gone and parent and not is_this_process(parent) and is_gone(parent) is False:
        return silent  # its parent sees it too, and knows better than others how it ended
    return gone


def reclaim(study: Study, own: Collection[Mapping[str, Any]] = ()) -> list[int]:
    """Fail every trial whose worker is gone together with the worker's parent, and enqueue its configuration again.

    Workers of other machines are gone if they are silent while this process listens (`storage.liveness.silence`), so
    this is to be called again and again. After an outage of the storage, they have `STALE_SECONDS` to write that they
    are alive.

    Args:
        own: the living workers of the caller, who learns by itself when and how one dies.

    Returns:
        The numbers of the trials that were reclaimed.
    """
    running = _running(study)
    silent = listener_of(study).listen(running)
    counts = patience_of(storage_of(study)).seconds_without_trouble() > STALE_SECONDS
    others = [trial for trial in running if not any(_is_of(trial, worker) for worker in own)]
    stale = [t for t in others if is_stale(worker_of(t), silent[t.number].seconds, silence_counts=counts)]
    return [trial.number for trial in stale if _reclaim(study, trial, *_loss(trial))]


def may_be_lost(study: Study) -> set[int]:
    """The running trials of other machines whose worker may have been gone before this process began to listen.

    The time that it has written last is old, or that of a clock that is late, and nothing was heard of it since.
    """
    running, now = _running(study), time.time()
    silent = listener_of(study).listen(running)
    unheard = [trial for trial in running if not silent[trial.number].heard and is_gone(worker_of(trial)) is None]
    return {trial.number for trial in unheard if now - (heartbeat_of(trial) or _started(trial)) > STALE_SECONDS}


def _loss(trial: FrozenTrial) -> tuple[str, str]:
    """Kind and message of the failure of a trial whose worker is gone, and nobody can tell how."""
    if losses(trial) + 1 >= MOST_LOSSES:
        return "killed", f"{MOST_LOSSES} workers in a row were lost while they trained it"
    message = "its worker and the search that had started it are gone or silent; its configuration is tried again"
    return "interrupted", message


def blame(
    study: Study, worker: Mapping[str, Any], kind: str = "killed", message: str = "its worker process was killed"
) -> list[int]:
    """Fail the trials of a worker that died alone, and enqueue their configurations again unless they are second tries.

    Args:
        worker: its `pid` and `host`; it may be on another machine.
        kind: the kind of the failure.
        message: how the worker died.

    Returns:
        The numbers of the trials.
    """
    held = [trial for trial in _running(study) if _is_of(trial, worker)]
    return [trial.number for trial in held if _reclaim(study, trial, kind, message)]


def retry(study: Study, number: int) -> int | None:
    """Enqueue the configuration of a trial once more.

    Returns:
        The number of the new trial; None if the trial is a second try already, or has no configuration.
    """
    trial = frozen_trial(study, number)
    return None if is_retry(trial) else _enqueue_again(study, trial, second=True)


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


def withdraw(study: Study, number: int, message: str) -> None:
    """End a trial that waits as one that was never needed, unless a worker has claimed it: then the worker decides."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    with contextlib.suppress(UpdateFinishedTrialError):
        if storage_of(study).set_trial_state_values(trial_id(study, number), TrialState.RUNNING):
            mark_failed(study, number, WITHDRAWN, message)


def _reclaim(study: Study, trial: FrozenTrial, kind: str, message: str) -> bool:
    """Fail `trial`, after it was enqueued again: if this process is killed in between, nothing is lost.

    That the trial fails is written onto it before, so that a worker that claims the new one at once does not take it
    for a duplicate of this one.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    blamed, again = kind != "interrupted", None
    if not has_configuration(trial):
        kind, message = WITHDRAWN, "its worker ended before it had a configuration"
    elif blamed and not is_retry(trial):
        message += "; its configuration is tried once more"
    try:
        announce_failure(study, trial.number, kind, message)
        again = None if blamed and is_retry(trial) else _enqueue_again(study, trial, second=blamed)
        mark_failed(study, trial.number, kind, message)
    except UpdateFinishedTrialError:
        if again is not None:
            withdraw(study, again, f"trial {trial.number} was reclaimed by another process")
        return False
    return True


def _enqueue_again(study: Study, trial: FrozenTrial, *, second: bool) -> int | None:
    if not has_configuration(trial):
        return None
    attributes = retry_attributes(trial, second=second)
    return add_waiting_trial(study, attributes, without_artifacts(trial.system_attrs), like=trial)


def _started(trial: FrozenTrial) -> float:
    return trial.datetime_start.timestamp() if trial.datetime_start else 0.0


def _is_of(trial: FrozenTrial, worker: Mapping[str, Any]) -> bool:
    return process_of(worker_of(trial)) == process_of(worker)


def _running(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    look_again()  # a worker may have claimed a trial just before it died
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
