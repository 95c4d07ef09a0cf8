"""An Optuna storage that waits for its database, and tells the database's errors from a caller's."""

from __future__ import annotations

import contextlib
import copy
import uuid
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import StorageAway, is_outage, reason_of
from peftsearch.storage.connection.patience import Patience

Found = TypeVar("Found")

CREATION = "peftsearch:creation"
"""A system attribute that each trial is created with: a token by which a repeated creation finds the first one."""


def _delegate(name: str) -> Any:
    """A method that asks the wrapped storage, and may be repeated without harm."""

    def method(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return self._patiently(lambda _: getattr(self.wrapped, name)(*args, **kwargs))

    method.__name__ = name
    return method


class PatientStorage(BaseStorage):
    """Waits through outages of the storage that it wraps, and then goes on as if there had been none.

    It raises `StorageLost` when its patience is over, when the database is damaged and when a study that it has
    returned was deleted. What else it raises is what `BaseStorage` documents.

    Args:
        wrapped: the storage to ask; its engine raises outages as `outages.raise_outages` has them.
        reset: gives back this thread's database session, which an outage may have left in a broken state.
        shown: which studies it lists, by their names.
        added: what it says of the study with a name beside the study's own system attributes.
        seen: what it shows of a trial.
        told: what a list of studies tells of a study's own user attributes.
    """

    def __init__(
        self,
        wrapped: BaseStorage,
        patience: Patience,
        reset: Callable[[], None] = lambda: None,
        shown: Callable[[str], bool] = lambda _: True,
        added: Callable[[str], Mapping[str, Any]] | None = None,
        seen: Callable[[FrozenTrial], FrozenTrial] | None = None,
        told: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> None:
        self.wrapped = wrapped
        self.patience = patience
        self._name = patience.storage
        self._reset = reset
        self._shown = shown
        self._added = added
        self._seen = seen
        self._told = told
        self._studies: dict[str, int] = {}

    set_study_user_attr = _delegate("set_study_user_attr")
    set_study_system_attr = _delegate("set_study_system_attr")
    get_study_name_from_id = _delegate("get_study_name_from_id")
    get_study_directions = _delegate("get_study_directions")
    get_study_user_attrs = _delegate("get_study_user_attrs")
    get_trial_id_from_study_id_trial_number = _delegate("get_trial_id_from_study_id_trial_number")
    set_trial_user_attr = _delegate("set_trial_user_attr")
    set_trial_system_attr = _delegate("set_trial_system_attr")
    set_trial_intermediate_value = _delegate("set_trial_intermediate_value")
    # A second row for the same parameter of a trial is refused by the database, which Optuna takes for success.
    set_trial_param = _delegate("set_trial_param")
    # A repetition finds the study that the first call created, and `optuna.create_study` then loads it.
    create_new_study = _delegate("create_new_study")
    remove_session = _delegate("remove_session")

    def get_trial(self, trial_id: int) -> FrozenTrial:
        found: FrozenTrial = self._patiently(lambda _: self.wrapped.get_trial(trial_id))
        return self._seen(found) if self._seen else found

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found: list[FrozenTrial] = self._patiently(lambda _: self.wrapped.get_all_trials(study_id, deepcopy, states))
        return [self._seen(trial) for trial in found] if self._seen else found

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self._patiently(lambda _: self.wrapped.get_study_system_attrs(study_id))
        return {**found, **self._added(self.get_study_name_from_id(study_id))} if self._added else found

    def get_all_studies(self) -> list[Any]:
        found: list[Any] = self._patiently(lambda _: self.wrapped.get_all_studies())
        studies = [study for study in found if self._shown(study.study_name)]
        for study in studies:
            study.user_attrs = self._told(study.user_attrs)
            if self._added:
                study.system_attrs = {**study.system_attrs, **self._added(study.study_name)}
        return studies

    def showing(
        self,
        shown: Callable[[str], bool],
        added: Callable[[str], Mapping[str, Any]] | None = None,
        seen: Callable[[FrozenTrial], FrozenTrial] | None = None,
        told: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> PatientStorage:
        """The same storage for a page: with the studies that `shown` accepts, what `added` adds, trials as `seen` shows
        them, and of a study's user attributes what `told` tells."""
        return PatientStorage(self.wrapped, self.patience, self._reset, shown, added, seen, told)

    def get_study_id_from_name(self, study_name: str) -> int:
        found: int = self._patiently(lambda _: self.wrapped.get_study_id_from_name(study_name))
        if self._studies.setdefault(study_name, found) != found:
            raise self._deleted(study_name)
        return found

    def delete_study(self, study_id: int) -> None:
        self._studies = {name: known for name, known in self._studies.items() if known != study_id}

        def delete(again: bool) -> None:
            with contextlib.suppress(*((KeyError,) if again else ())):
                self.wrapped.delete_study(study_id)

        self._patiently(delete)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        token = uuid.uuid4().hex
        marked = _marked(template_trial, token)

        def create(again: bool) -> int:
            first = self._created(study_id, token) if again else None
            return self.wrapped.create_new_trial(study_id, template_trial=marked) if first is None else first

        return self._patiently(create)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        started = self.get_trial(trial_id).datetime_start if state is TrialState.WAITING else None

        def write(again: bool) -> bool:
            if again and self._has_state(trial_id, state, values, started):
                return True
            return self.wrapped.set_trial_state_values(trial_id, state, values)

        return self._patiently(write)

    def _patiently(self, operation: Callable[[bool], Found]) -> Found:
        return self.patience.repeat(lambda again: self._attempt(operation, again))

    def _attempt(self, operation: Callable[[bool], Found], again: bool) -> Found:
        """Call `operation`; its errors become `StorageAway`, `StorageLost` or, if they are the caller's, stay as is."""
        try:
            return operation(again)
        except StorageAway:
            self._give_session_back()
            raise
        except KeyError:
            self._refuse_deleted_study()
            raise
        except (StorageInternalError, SQLAlchemyError) as error:
            self._give_session_back()
            self._refuse_deleted_study()
            cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
            if isinstance(cause, DBAPIError) and not is_outage(cause):
                raise StorageLost(f"the storage {self._name} refuses a query ({reason_of(cause)})") from error
            raise StorageAway(reason_of(cause)) from error

    def _give_session_back(self) -> None:
        with contextlib.suppress(StorageAway, StorageLost, SQLAlchemyError):
            self._reset()

    def _refuse_deleted_study(self) -> None:
        """Raise `StorageLost` if a study is gone that was there before."""
        for name, known in self._studies.items():
            try:
                if self.wrapped.get_study_id_from_name(name) == known:
                    continue
            except KeyError:
                pass
            except (StorageInternalError, SQLAlchemyError):
                continue  # the tables themselves are gone, say
            raise self._deleted(name)

    def _deleted(self, name: str) -> StorageLost:
        return StorageLost(f"the study {name!r} was deleted from the storage {self._name} while it was in use")

    def _created(self, study_id: int, token: str) -> int | None:
        """The id of the trial that was created with `token`."""
        for trial in self.wrapped.get_all_trials(study_id, deepcopy=False):
            if trial.system_attrs.get(CREATION) == token:
                return self.wrapped.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        return None

    def _has_state(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None, started: datetime | None
    ) -> bool:
        """Whether an earlier call has set this state.

        It is not known who has made a trial RUNNING. The answer is then no, so that nobody trains it until `recovery`
        makes it wait again.
        """
        trial = self.wrapped.get_trial(trial_id)
        if state is TrialState.RUNNING:
            return False
        if state is TrialState.WAITING:  # it waits, or was claimed since by another worker
            claimed = trial.state is TrialState.RUNNING and trial.datetime_start != started
            return claimed or trial.state is TrialState.WAITING
        return trial.state is state and (values is None or trial.values == list(values))


def _marked(template: FrozenTrial | None, token: str) -> FrozenTrial:
    """What Optuna would create, with the token on it."""
    marked = create_trial(state=TrialState.RUNNING) if template is None else copy.copy(template)
    marked.system_attrs = {**marked.system_attrs, CREATION: token}
    return marked
