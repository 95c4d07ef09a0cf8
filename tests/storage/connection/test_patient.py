from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patient import PatientStorage
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.optuna_access import storage_of, study_id, trial_id
from tests.helpers.outages import FakeTime, Flaky, engine_of, patience

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "create_new_study": ([StudyDirection.MINIMIZE], "another"),
    "create_new_trial": (0,),
    "delete_study": (0,),
    "get_all_studies": (),
    "get_all_trials": (0, False),
    "get_study_directions": (0,),
    "get_study_id_from_name": ("x",),
    "get_study_name_from_id": (0,),
    "get_study_system_attrs": (0,),
    "get_study_user_attrs": (0,),
    "get_trial": (0,),
    "get_trial_id_from_study_id_trial_number": (0, 0),
    "set_study_system_attr": (0, "key", 1),
    "set_study_user_attr": (0, "key", 1),
    "set_trial_intermediate_value": (0, 1, 0.5),
    "set_trial_param": (0, "lr", 0.5, optuna.distributions.FloatDistribution(0, 1)),
    "set_trial_state_values": (0, TrialState.COMPLETE, [0.5]),
    "set_trial_system_attr": (0, "key", 1),
    "set_trial_user_attr": (0, "key", 1),
}


class Once:
    """A storage before which one call of the method `name` fails."""

    def __init__(self, storage: BaseStorage, name: str, *, done: bool) -> None:
        self._storage, self._name, self._done, self.failed = storage, name, done, 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if name != self._name or self.failed:
            return method

        def fail(*args: Any, **kwargs: Any) -> None:
            self.failed += 1
            if self._done:
                method(*args, **kwargs)
            raise StorageAway("server closed the connection unexpectedly")

        return fail


def patient(storage: Any) -> PatientStorage:
    time = FakeTime()
    return PatientStorage(storage, patience(time, []))


def one_running_trial() -> InMemoryStorage:
    storage = InMemoryStorage()
    storage.create_new_trial(storage.create_new_study([StudyDirection.MINIMIZE], "x"))
    return storage


def picture(storage: BaseStorage) -> Any:
    """All that stands in a storage, but for times and tokens."""
    trials = [
        (t.number, t.state, t.values, t.params, t.user_attrs, {k: v for k, v in t.system_attrs.items() if k == "key"})
        for study in storage.get_all_studies()
        for t in storage.get_all_trials(study._study_id)
    ]
    studies = [(study.study_name, study.user_attrs, study.system_attrs) for study in storage.get_all_studies()]
    return studies, trials


def test_every_method_of_a_storage_is_tried() -> None:
    assert set(ARGUMENTS) == BaseStorage.__abstractmethods__ | {
        "get_trial_id_from_study_id_trial_number"  # the base class reads every trial for it
    }


@pytest.mark.parametrize("done", [False, True], ids=["not-done", "done"])
@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_call_that_fails_once_has_the_effect_of_one_call(name: str, done: bool) -> None:
    plain, behind = one_running_trial(), one_running_trial()
    expected = getattr(plain, name)(*ARGUMENTS[name])
    once = Once(behind, name, done=done)
    storage = patient(once)
    if name == "create_new_study" and done:
        with pytest.raises(DuplicatedStudyError):  # which optuna.create_study takes for "load it"
            storage.create_new_study(*ARGUMENTS[name])
    else:
        found = getattr(storage, name)(*ARGUMENTS[name])
        if name not in ("get_all_studies", "get_all_trials", "get_trial"):
            assert found == expected
    assert once.failed == 1
    assert picture(behind) == picture(plain)


@pytest.mark.parametrize("done", [False, True])
def test_a_trial_put_back_twice_is_not_taken_from_whom_has_claimed_it_since(done: bool) -> None:
    behind = one_running_trial()
    time = FakeTime()
    storage = PatientStorage(Once(behind, "set_trial_state_values", done=done), patience(time, []))  # type: ignore[arg-type]
    if done:
        time.events.append((0.0, lambda: assert_true(behind.set_trial_state_values(0, TrialState.RUNNING))))
    assert storage.set_trial_state_values(0, TrialState.WAITING)
    assert behind.get_trial(0).state is (TrialState.RUNNING if done else TrialState.WAITING)


def assert_true(value: bool) -> None:
    assert value


def test_a_claim_that_may_have_been_another_workers_is_nobodys() -> None:
    behind = one_running_trial()
    behind.set_trial_state_values(0, TrialState.WAITING)
    assert not patient(Once(behind, "set_trial_state_values", done=True)).set_trial_state_values(0, TrialState.RUNNING)


def test_a_state_that_another_process_has_set_meanwhile_is_the_callers_error() -> None:
    behind = one_running_trial()
    behind.set_trial_state_values(0, TrialState.FAIL)
    storage = patient(Once(behind, "set_trial_state_values", done=False))
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(0, TrialState.COMPLETE, [0.5])


def test_of_a_template_everything_is_kept() -> None:
    storage = patient(one_running_trial())
    template = create_trial(state=TrialState.WAITING, user_attrs={"a": 1}, system_attrs={"fixed_params": {"lr": 1}})
    created = storage.get_trial(storage.create_new_trial(0, template))
    assert (created.state, created.user_attrs) == (TrialState.WAITING, {"a": 1})
    assert created.system_attrs["fixed_params"] == {"lr": 1}
    assert template.system_attrs == {"fixed_params": {"lr": 1}}


@pytest.mark.parametrize("call", [lambda s: s.get_trial(7), lambda s: s.get_study_id_from_name("nothing")])
def test_a_wrong_name_or_number_stays_the_callers_error(call: Callable[[BaseStorage], Any]) -> None:
    storage = patient(one_running_trial())
    storage.get_study_id_from_name("x")
    with pytest.raises(KeyError):
        call(storage)


@pytest.mark.parametrize(
    "call",
    [
        lambda study: study_id(study),
        lambda study: study.get_trials(deepcopy=False),
        lambda study: study.ask(),
        lambda study: study.set_user_attr("a", 1),
        lambda study: storage_of(study).set_trial_user_attr(1, "a", 1),
        lambda study: study.tell(0, 0.5),
    ],
)
def test_a_study_that_was_deleted_is_noticed_by_every_call(tmp_path: Path, call: Callable[[optuna.Study], Any]) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    open_study(open_storage(url), "another", ["macro_f1"])
    study = open_study(open_storage(url), "x", ["macro_f1"])
    study.ask()
    optuna.delete_study(study_name="x", storage=url)
    with pytest.raises(StorageLost) as lost:
        call(study)
    assert str(lost.value) == f"the study 'x' was deleted from the storage {url} while it was in use"


def test_a_study_that_was_deleted_and_begun_again_is_another_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    study = open_study(open_storage(url), "x", ["macro_f1"])
    optuna.delete_study(study_name="x", storage=url)
    for name in ("between", "x"):
        open_study(open_storage(url), name, ["macro_f1"])
    with pytest.raises(StorageLost, match="was deleted"):
        study_id(study)


def test_a_study_that_is_deleted_through_the_storage_is_just_not_there(tmp_path: Path) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path}/x.db"), "x", ["macro_f1"])
    storage_of(study).delete_study(study_id(study))
    with pytest.raises(KeyError):
        study_id(study)


def test_what_the_database_refuses_is_lost_at_once_and_what_its_pool_cannot_do_now_is_away() -> None:
    def failing(error: Exception) -> Any:
        class Failing(InMemoryStorage):
            def get_all_studies(self) -> Any:
                raise error

        return Failing()

    refused = StorageInternalError("invalid data")
    refused.__cause__ = sqlalchemy.exc.DataError("INSERT", {}, ValueError("value too long for type varchar(512)"))
    with pytest.raises(
        StorageLost, match=r"^the storage db refuses a query \(value too long for type varchar\(512\)\)$"
    ):
        patient(failing(refused)).get_all_studies()
    with pytest.raises(StorageLost, match="has not answered for 300 s"):
        patient(failing(sqlalchemy.exc.TimeoutError("QueuePool limit"))).get_all_studies()


def test_optuna_creates_one_trial_where_the_server_has_committed_and_not_said_so(tmp_path: Path) -> None:
    """Optuna's own repetition in `create_new_trial` made two, if the engine did not say that it was an outage."""
    storage = open_storage(f"sqlite:///{tmp_path}/x.db")
    study = open_study(storage, "x", ["macro_f1"])
    broken = [True]

    @sqlalchemy.event.listens_for(engine_of(storage), "before_cursor_execute")
    def after_commit(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO trials") and broken:
            broken.clear()
            dialect.do_commit = lost_answer  # type: ignore[method-assign]

    dialect = engine_of(storage).dialect
    commit = dialect.do_commit

    def lost_answer(connection: Any) -> None:
        commit(connection)
        dialect.do_commit = commit  # type: ignore[method-assign]
        raise engine_of(storage).dialect.loaded_dbapi.OperationalError("server closed the connection unexpectedly")  # type: ignore[attr-defined]

    study.ask()
    assert not broken
    assert [trial.number for trial in study.get_trials()] == [0]


@pytest.mark.parametrize("seed", range(10))
def test_trials_asked_and_told_through_a_flaky_storage_are_exact(seed: int) -> None:
    behind = InMemoryStorage()
    flaky = Flaky(behind, random.Random(seed), share=0.15)
    study = optuna.create_study(
        storage=patient(flaky), study_name="x", load_if_exists=True, sampler=optuna.samplers.RandomSampler(seed)
    )
    for number in range(20):
        trial = study.ask()
        trial.set_user_attr("lr", trial.suggest_float("lr", 0, 1))
        study.tell(trial, float(number))
    assert [(t.number, t.value) for t in behind.get_all_trials(0)] == [(n, float(n)) for n in range(20)]
    assert all(t.params == t.user_attrs for t in behind.get_all_trials(0))
    assert trial_id(study, 3) == 3
