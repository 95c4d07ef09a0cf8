"""A storage that remembers what has ended says what the database holds, and reads no more than it is asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState, create_trial

from peftsearch.storage.connection.looking import Look, look_again, one_look
from peftsearch.storage.connection.remembering import RememberingStorage
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.liveness.recovery import put_back
from peftsearch.storage.records import ended_records, records
from tests.helpers.outages import engine_of

STATES = tuple(TrialState)
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/x.db"


@pytest.fixture
def study(url: str) -> Study:
    return open_study(open_storage(url), "x", ["macro_f1"])


def change(rng: random.Random, storage: RDBStorage, study: int) -> None:
    """Do to a study what some process may do to it."""
    trials = storage.get_all_trials(study)
    unended = [trial for trial in trials if not trial.state.is_finished()]
    what = rng.choice(["create", "enqueue", "write", "claim", "put back", "end"])
    if what == "create" or not unended:
        storage.create_new_trial(study)
        return
    if what == "enqueue":
        storage.create_new_trial(study, create_trial(state=TrialState.WAITING, user_attrs={"n": rng.random()}))
        return
    number = rng.choice(unended).number
    trial = storage.get_trial_id_from_study_id_trial_number(study, number)
    if what == "write":
        storage.set_trial_user_attr(trial, "n", rng.random())
    elif what == "claim":
        storage.set_trial_state_values(trial, TrialState.RUNNING)
    elif what == "put back":
        storage.set_trial_state_values(trial, TrialState.WAITING)
    else:
        state = rng.choice(ENDS)
        storage.set_trial_state_values(trial, state, [rng.random()] if state is TrialState.COMPLETE else None)


@pytest.mark.parametrize("seed", range(2))
def test_it_says_what_the_database_holds_whoever_changes_it(url: str, seed: int) -> None:
    rng, truth = random.Random(seed), RDBStorage(url)
    studies = [truth.create_new_study([StudyDirection.MAXIMIZE], name) for name in ("x", "y")]
    storages = [RememberingStorage(url), RememberingStorage(url)]
    for _ in range(50):
        for _ in range(rng.randint(1, 4)):
            change(rng, rng.choice([truth, *storages]), rng.choice(studies))
        study, states = rng.choice(studies), rng.sample(STATES, rng.randint(1, len(STATES)))
        asked = None if rng.random() < 0.3 else states
        storage = rng.choice(storages)
        assert storage.get_all_trials(study, deepcopy=False, states=asked) == truth.get_all_trials(study, states=asked)
    for study in studies:
        for trial in truth.get_all_trials(study):
            known = storages[0].get_trial_id_from_study_id_trial_number(study, trial.number)
            assert known == truth.get_trial_id_from_study_id_trial_number(study, trial.number)
            assert storages[0].get_trial(known) == trial


@pytest.fixture
def read(study: Study) -> Iterator[list[str]]:
    """The tables that are read, one for each SELECT."""
    tables: list[str] = []
    storage: Any = study
    storage = storage._storage

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            tables.append(statement.split("FROM")[1].split()[0])

    sqlalchemy.event.listen(engine_of(storage), "before_cursor_execute", note)
    yield tables
    sqlalchemy.event.remove(engine_of(storage), "before_cursor_execute", note)


def test_what_has_ended_is_read_once_and_what_runs_is_not_read_with_it(study: Study, read: list[str]) -> None:
    for _ in range(3):
        study.ask()
    study.tell(0, 0.5)
    assert [record.number for record in ended_records(study)] == [0]
    read.clear()
    assert [record.number for record in ended_records(study)] == [0]
    assert "trials" in read
    assert not {"trial_user_attributes", "trial_values", "trial_params"} & set(read)
    study.tell(2, 0.7)
    assert [record.number for record in ended_records(study)] == [0, 2]
    assert [record.number for record in records(study)] == [0, 1, 2]
    assert ended_records(study)[0] is records(study)[0]


def test_who_reads_keeps_nobody_waiting_who_is_in_a_transaction(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a pool, the reader may wait for the connection that the other one has, so that both would wait for ever.

    Optuna looks in its transaction for the number of a trial that has ended.
    """
    storage = RememberingStorage(url)
    study = storage.create_new_study([StudyDirection.MAXIMIZE])
    trial = storage.create_new_trial(study)
    storage.set_trial_state_values(trial, TrialState.FAIL)
    storage.get_all_trials(study)
    read, reads, others = storage._get_trials, threading.Event(), threading.Event()

    def after_the_others(*arguments: Any) -> Any:
        reads.set()
        assert others.wait(60)
        return read(*arguments)

    monkeypatch.setattr(storage, "_get_trials", after_the_others)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(storage.get_all_trials, study)
        assert reads.wait(60)
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_user_attr(trial, "heartbeat", 1.0)
        assert not found.done()
        others.set()
        assert [one.state for one in found.result()] == [TrialState.FAIL]


def test_within_a_look_what_has_not_ended_is_read_once(study: Study, url: str, read: list[str]) -> None:
    study.ask()
    other = open_study(open_storage(url), "x", ["macro_f1"])
    with one_look():
        assert [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))] == [0]
        other.ask()
        other.tell(0, 0.5)
        read.clear()
        assert study.get_trials(states=(TrialState.WAITING, TrialState.RUNNING))[0].number == 0
        assert read == []
        assert [trial.state for trial in study.get_trials(states=ENDS)] == [TrialState.COMPLETE]
        # All trials are those of one moment: trial 0 beside trials that were begun after it had ended would be a gap.
        assert [(trial.number, trial.state) for trial in study.get_trials()] == [(0, TrialState.RUNNING)]
        look_again()
        assert [trial.number for trial in study.get_trials()] == [0, 1]
    assert [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))] == [1]


def test_looks_of_two_studies_are_two(study: Study) -> None:
    storage: Any = study
    other = open_study(storage._storage, "y", ["macro_f1"])
    other.ask()
    with one_look():
        assert study.get_trials() == []
        assert len(other.get_trials()) == 1


def test_a_trial_that_is_put_back_waits_within_the_next_look(study: Study) -> None:
    trial = study.ask()
    study.get_trials()
    put_back(study, trial.number)
    with one_look():
        assert [trial.state for trial in study.get_trials()] == [TrialState.WAITING]


def test_the_pause_after_a_look_grows_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Look(began=100.0)
    for now, pause in [(100.01, 1.0), (100.2, 2.0), (107.0, 5.0)]:
        monkeypatch.setattr("time.monotonic", lambda now=now: now)
        assert look.pause(1.0) == pytest.approx(pause)


def test_within_a_look_a_studys_attributes_are_read_once_unless_they_are_written(study: Study, url: str) -> None:
    other = open_study(open_storage(url), "x", ["macro_f1"])
    study.set_user_attr("n", [1])
    with one_look():
        study.user_attrs["n"].append(2)
        assert study.user_attrs["n"] == [1]
        other.set_user_attr("n", [3])  # by this thread: as the look's own
        assert study.user_attrs["n"] == [3]
    study.set_user_attr("n", [4])
    assert other.user_attrs["n"] == [4]


def test_within_a_look_the_attributes_of_another_process_are_seen_later(
    study: Study, url: str, read: list[str]
) -> None:
    with one_look():
        first = study.user_attrs
        read.clear()
        assert study.user_attrs == first
        assert read == []
    assert study.user_attrs == first
    assert "study_user_attributes" in read
