from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.storage.claims import claim, claim_new
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.liveness import recovery
from peftsearch.storage.liveness.recovery import (
    MOST_LOSSES,
    blame,
    is_stale,
    may_be_lost,
    put_back,
    reclaim,
    release,
    withdraw,
)
from peftsearch.storage.liveness.silence import listener_of
from peftsearch.storage.liveness.worker_identity import host, identity, this_process
from peftsearch.storage.records import records
from peftsearch.storage.trial_attributes import write_curve
from tests.helpers.workers import dead_worker, other_process

CONFIG = TrialConfig("b", "full").to_dict()
ELSEWHERE = {"pid": 1, "host": "another", "started": 0.0, "device": "cpu"}


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "train_seconds"])


def worker_of(trial: Trial) -> dict[str, Any]:
    worker: dict[str, Any] = trial.user_attrs["worker"]
    return worker


def held(study: Study, worker: dict[str, Any]) -> Trial:
    trial = claim(study, 99, worker)
    assert trial is not None
    trial.set_user_attr("config", CONFIG)
    return trial


def listen(study: Study, seconds: float, beats: Callable[[], None] = lambda: None) -> list[int]:
    """Look every ten seconds at what runs, for so many seconds; the trials that were reclaimed."""
    listener, found = listener_of(study), []
    now = listener.clock()
    for after in range(0, int(seconds) + 1, 10):
        listener.clock = lambda after=after: now + after  # type: ignore[misc]
        found += reclaim(study)
        beats()
    return found


@pytest.mark.parametrize("hours", [-1.0, 0.0, 1.0, 9.5])
def test_a_machine_whose_clock_is_another_keeps_its_trials_while_it_writes(study: Study, hours: float) -> None:
    trial, written = held(study, ELSEWHERE), count()

    def beat() -> None:
        trial.set_user_attr("heartbeat", time.time() + 3600 * hours + next(written))

    beat()
    assert listen(study, 300.0, beat) == []
    assert listen(study, 60.0) == []
    assert listen(study, 20.0) == [0]


def test_a_trial_that_is_claimed_again_is_listened_to_anew(study: Study) -> None:
    trial = held(study, ELSEWHERE)
    assert listen(study, 60.0) == []
    put_back(study, trial.number)
    held(study, {**ELSEWHERE, "pid": 2})
    assert listen(study, 60.0) == []
    assert listen(study, 10.0) == [0]


def test_a_process_that_has_slept_does_not_take_the_time_for_silence(study: Study) -> None:
    held(study, ELSEWHERE)
    listener = listener_of(study)
    assert reclaim(study) == []
    for slept in (3600.0, 7200.0, 9000.0):
        listener.clock = lambda slept=slept: slept + time.monotonic()  # type: ignore[misc]
        assert reclaim(study) == []


@pytest.mark.parametrize(("hours", "lost"), [(-1.0, True), (0.0, False), (1.0, False)])
def test_what_may_be_lost_is_what_looks_old_and_was_not_heard(study: Study, hours: float, lost: bool) -> None:
    trial = held(study, ELSEWHERE)
    held(study, identity("cpu")).set_user_attr("heartbeat", 1.0)
    trial.set_user_attr("heartbeat", time.time() + 3600 * hours)
    assert may_be_lost(study) == ({0} if lost else set())
    trial.set_user_attr("heartbeat", time.time() + 3600 * hours + 5)
    assert may_be_lost(study) == set(), "it lives"


def test_another_machines_worker_is_judged_by_its_heartbeat() -> None:
    assert not is_stale(ELSEWHERE, unheard=59.0)
    assert is_stale(ELSEWHERE, unheard=61.0)


def test_a_living_worker_on_this_machine_may_be_silent() -> None:
    assert not is_stale(identity("cpu"), unheard=1e9)


def test_a_claim_without_a_name_is_stale_soon() -> None:
    assert not is_stale({}, unheard=5.0)
    assert is_stale({}, unheard=15.0)


def test_a_dead_worker_is_left_to_its_parent_for_a_time() -> None:
    """The parent knows whether the worker died alone. It may also live and no longer care for this study."""
    with other_process() as parent:
        assert not is_stale({**dead_worker(), "parent": parent}, unheard=59.0)
        assert is_stale({**dead_worker(), "parent": parent}, unheard=61.0)


@pytest.mark.parametrize("parent", [None, dead_worker(), this_process()], ids=["none", "dead", "this process"])
def test_a_dead_worker_without_a_parent_that_could_tell_is_stale_at_once(parent: Any) -> None:
    assert is_stale({**dead_worker(), "parent": parent}, unheard=1.0)


def test_after_an_outage_silence_is_no_sign_of_death_for_a_while(tmp_path: Path) -> None:
    """While the storage was away, no worker of another machine could write that it is alive."""
    storage = open_storage(f"sqlite:///{tmp_path}/x.db")
    study = open_study(storage, "x", ["macro_f1", "train_seconds"])
    held(study, ELSEWHERE).set_user_attr("heartbeat", 1.0)
    waiting = patience_of(storage)
    waiting.trouble = waiting.clock() - 59
    assert listen(study, 90.0) == []
    waiting.trouble = waiting.clock() - 61
    assert reclaim(study) == [0]


def test_an_enqueued_trial_whose_claim_was_cut_short_waits_again_and_has_both_tries(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "UNNAMED_SECONDS", -1.0)
    study.enqueue_trial({}, user_attrs={"config": CONFIG})
    study.ask()
    assert reclaim(study) == [0]
    found = [(trial.state, trial.failure and trial.failure["kind"], trial.retry_of) for trial in records(study)]
    assert found == [("failed", "interrupted", None), ("waiting", None, None)]


def test_a_dead_workers_trial_fails_and_its_configuration_waits_once_more(study: Study) -> None:
    study.enqueue_trial({"x": 0.5}, user_attrs={"baseline": 0, "fixed": {"method": "full"}})
    trial = held(study, dead_worker())
    trial.suggest_float("x", 0, 1)
    assert blame(study, worker_of(trial)) == [0]
    first, second = records(study)
    assert (first.state, first.failure) == (
        "failed",
        {"kind": "killed", "message": "its worker process was killed; its configuration is tried once more"},
    )
    assert (second.state, second.retry_of, second.baseline) == ("waiting", 0, 0)
    assert second.curve == ()
    assert second.worker == {}
    again = claim(study, 99, identity("cpu"))
    assert again is not None
    assert again.number == 1
    assert again.suggest_float("x", 0, 1) == 0.5
    assert again.user_attrs["fixed"] == {"method": "full"}
    assert reclaim(study) == []


def test_a_second_death_of_a_configuration_is_the_last(study: Study) -> None:
    for number in (0, 1):
        assert blame(study, worker_of(held(study, dead_worker()))) == [number]
    assert [record.state for record in records(study)] == ["failed", "failed"]
    assert records(study)[1].failure == {"kind": "killed", "message": "its worker process was killed"}


@pytest.mark.parametrize("first", ["killed", "interrupted"])
def test_deaths_together_with_the_parent_do_not_use_up_the_second_try(study: Study, first: str) -> None:
    """A machine that is taken away, as often as it happens, before or after a death of the worker alone."""
    study.enqueue_trial({"x": 0.5}, user_attrs={"baseline": 0, "fixed": {"method": "full"}})
    deaths = [first, "interrupted", "interrupted", "killed" if first == "interrupted" else "interrupted", "killed"]
    for number, kind in enumerate(deaths):
        trial = held(study, dead_worker())
        assert (trial.number, trial.user_attrs["baseline"]) == (number, 0)
        assert (blame(study, worker_of(trial)) if kind == "killed" else reclaim(study)) == [number]
    assert [record.failure["kind"] for record in records(study) if record.failure] == deaths
    assert [record.state for record in records(study)] == ["failed"] * 5, "two deaths alone were its own"


def test_a_pre_empted_trial_says_so(study: Study) -> None:
    held(study, dead_worker())
    reclaim(study)
    first, second = records(study)
    assert first.failure == {
        "kind": "interrupted",
        "message": "its worker and the search that had started it are gone or silent; its configuration is tried again",
    }
    assert (second.state, second.retry_of) == ("waiting", None)


def test_a_trial_that_hung_says_so(study: Study) -> None:
    trial = held(study, ELSEWHERE)
    assert blame(study, worker_of(trial), "hung", "it made no step") == [0]
    first, second = records(study)
    assert first.failure == {
        "kind": "hung", "message": "it made no step; its configuration is tried once more"
    }  # fmt: skip
    assert second.retry_of == 0


def test_a_search_leaves_its_own_workers_alone(study: Study) -> None:
    worker = dead_worker()
    held(study, worker)
    assert reclaim(study, [worker]) == []
    assert reclaim(study, [identity("cpu")]) == [0]


def test_only_a_trial_that_waits_is_withdrawn(study: Study) -> None:
    for _ in range(2):
        study.enqueue_trial({}, user_attrs={"config": CONFIG})
    held(study, ELSEWHERE)
    for number in (0, 1):
        withdraw(study, number, "twin")
    assert [(trial.state, trial.user_attrs.get("failure")) for trial in study.trials] == [
        (TrialState.RUNNING, None),
        (TrialState.FAIL, {"kind": "withdrawn", "message": "twin"}),
    ]


def test_a_trial_without_a_configuration_is_withdrawn(study: Study) -> None:
    claim(study, 99, dead_worker())
    assert reclaim(study) == [0]
    assert records(study) == []


@pytest.mark.parametrize("parent_lives", [True, False])
def test_a_second_try_that_is_claimed_at_once_is_no_duplicate(
    study: Study, monkeypatch: pytest.MonkeyPatch, parent_lives: bool
) -> None:
    """A worker claims it in the moment between its enqueuing and the end of the first."""
    first, claimed = held(study, dead_worker()), []
    fail = recovery.mark_failed

    def claim_in_between(*arguments: Any) -> None:
        claimed.append(claim_new(study, 99, identity("cpu"), lambda *_: TrialConfig.from_dict(CONFIG)))
        fail(*arguments)

    monkeypatch.setattr(recovery, "mark_failed", claim_in_between)
    if parent_lives:
        blame(study, worker_of(first))
    else:
        reclaim(study)
    [(trial, config)] = claimed
    assert config.to_dict() == CONFIG
    assert [other.state for other in study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert trial.number == 1


def test_of_two_processes_that_reclaim_a_trial_one_enqueues_it(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    held(study, dead_worker())
    [stale] = study.get_trials(deepcopy=True, states=(TrialState.RUNNING,))
    reclaim(study)
    monkeypatch.setattr(study, "get_trials", lambda **_: [stale])  # the other one had read it before
    assert reclaim(study) == []
    monkeypatch.undo()
    assert [record.state for record in records(study)] == ["failed", "waiting"]


def test_an_interrupted_trial_waits_with_its_epochs(study: Study) -> None:
    trial = held(study, identity("cpu"))
    drawn = trial.suggest_float("x", 0, 1)
    epoch = EpochReport(1, 0.5, 0.5, {"macro_f1": 0.7}, 1.0, 0.1, 10)
    write_curve(trial, [epoch])
    put_back(study, trial.number)
    [record] = records(study)
    assert (record.state, record.curve, record.worker) == ("waiting", (epoch,), {})
    again = held(study, identity("cpu"))
    assert again.number == 0
    assert again.suggest_float("x", 0, 1) == drawn


def test_putting_back_a_trial_that_was_reclaimed_changes_nothing(study: Study) -> None:
    trial = held(study, dead_worker())
    reclaim(study)
    put_back(study, trial.number)
    assert [record.state for record in records(study)] == ["failed", "waiting"]


def test_release_puts_back_what_one_process_held(study: Study) -> None:
    held(study, identity("cpu"))
    held(study, ELSEWHERE)
    assert [record.worker for record in records(study)] == [identity("cpu"), ELSEWHERE]
    release(study, {"pid": os.getpid(), "host": "elsewhere"})
    assert [record.state for record in records(study)] == ["running", "running"]
    release(study, {"pid": os.getpid(), "host": host()})
    assert [record.state for record in records(study)] == ["waiting", "running"]


def test_a_worker_that_is_known_to_be_dead_is_not_waited_for(study: Study) -> None:
    held(study, ELSEWHERE)
    held(study, identity("cpu"))
    assert reclaim(study) == []
    assert blame(study, ELSEWHERE) == [0]


def test_a_configuration_that_gets_on_between_two_losses_is_not_blamed(study: Study) -> None:
    """As on machines that are taken away again and again, where a trial goes on after its last epoch."""
    epochs: list[EpochReport] = []
    for number in range(2 * MOST_LOSSES):
        trial = held(study, dead_worker())
        epochs.append(EpochReport(number + 1, 0.5, 0.5, {"macro_f1": 0.7}, 1.0, 0.1, 10))
        write_curve(trial, epochs)
        assert reclaim(study) == [number]
    assert {record.failure["kind"] for record in records(study) if record.failure} == {"interrupted"}
    assert records(study)[-1].curve == tuple(epochs)


def test_a_configuration_that_ends_every_machine_is_blamed_in_the_end(study: Study) -> None:
    """As one that takes more memory than a container has: nobody survives who could tell."""
    for number in range(2 * MOST_LOSSES):
        held(study, dead_worker())
        assert reclaim(study) == [number]
    kinds = [record.failure["kind"] for record in records(study) if record.failure]
    assert kinds == [*["interrupted"] * (MOST_LOSSES - 1), "killed"] * 2
    assert len(records(study)) == 2 * MOST_LOSSES, "the second try is the last"
    failure = records(study)[-1].failure
    assert failure is not None
    assert failure["message"] == "5 workers in a row were lost while they trained it"
