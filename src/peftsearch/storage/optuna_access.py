"""What peftsearch needs of Optuna and a public interface gives only in part: the storage behind a `Study`, and its ids.

Three things have no public call in Optuna 5.0, and all are calls of `BaseStorage`: a trial cannot be put back to
WAITING, nor ended without its `Trial` object; an attribute cannot be written onto a trial from another thread or
process; and `Study.ask` takes the first trial that waits, whichever that is. `BaseStorage` is a public class, but it
names a study and a trial by ids that `Study` and `Trial` keep private. Here they are looked up by the study's name and
the trial's number, which are public.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial


def storage_of(study: Study) -> BaseStorage:
    """The storage that holds `study`: the one private access, since Optuna has no `Study.storage`."""
    return study._storage


def study_id(study: Study) -> int:
    """The id by which the storage's methods name `study`. It is read from the database."""
    return storage_of(study).get_study_id_from_name(study.study_name)


def is_there(study: Study) -> bool:
    """Whether the storage still holds `study`."""
    try:
        study_id(study)
    except KeyError:
        return False
    return True


def trial_id(study: Study, number: int) -> int:
    """The id by which the storage's methods name the trial `number` of `study`."""
    return storage_of(study).get_trial_id_from_study_id_trial_number(study_id(study), number)


def trial_ids(study: Study) -> dict[int, int]:
    """Number of each trial of `study` → the id by which the storage's methods name it."""
    storage, own = storage_of(study), study_id(study)
    numbers = [trial.number for trial in study.get_trials(deepcopy=False)]
    return {number: storage.get_trial_id_from_study_id_trial_number(own, number) for number in numbers}


def add_waiting_trial(
    study: Study, user_attributes: dict[str, Any], system_attributes: dict[str, Any], like: FrozenTrial | None = None
) -> int:
    """Add a trial that waits for a worker, as `Study.enqueue_trial` does, which does not say the trial's number.

    Args:
        like: a trial whose parameters it has.

    Returns:
        Its number.
    """
    from optuna.trial import TrialState, create_trial

    waiting = create_trial(
        state=TrialState.WAITING,
        params=like.params if like else {},
        distributions=like.distributions if like else {},
        user_attrs=user_attributes,
        system_attrs=system_attributes,
    )
    storage = storage_of(study)
    return storage.get_trial_number_from_id(storage.create_new_trial(study_id(study), template_trial=waiting))


def ended_trials(study: Study) -> list[FrozenTrial]:
    """The trials that have ended, by number: objects that the storage keeps.

    Each is read once, and no other trial is read (`connection.remembering`).
    """
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=[state for state in TrialState if state.is_finished()])


def open_trials(study: Study) -> list[FrozenTrial]:
    """The trials that are trained or wait: objects that the storage may keep."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))


def frozen_trial(study: Study, number: int) -> FrozenTrial:
    """The trial `number` as it stands in the storage now."""
    return storage_of(study).get_trial(trial_id(study, number))


def ask_for(study: Study, fits: Callable[[FrozenTrial], bool], *, create: bool) -> Trial | None:
    """As `Study.ask`, but takes only a waiting trial that `fits`.

    Args:
        create: whether a trial is created where none waits that fits.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import Trial, TrialState

    storage = storage_of(study)
    for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if not fits(waiting):
            continue
        own = trial_id(study, waiting.number)
        with contextlib.suppress(UpdateFinishedTrialError):  # another process has ended it since
            if storage.set_trial_state_values(own, TrialState.RUNNING):
                return Trial(study, own)
    return Trial(study, storage.create_new_trial(study_id(study))) if create else None
