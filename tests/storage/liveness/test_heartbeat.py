from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.core.progress import StepReport
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.liveness import heartbeat
from peftsearch.storage.liveness.heartbeat import Heartbeat, Steps, sparing
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import records
from peftsearch.storage.trial_attributes import clear_attempt


def test_a_heartbeat_survives_an_outage_and_notices_a_lost_trial(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path / 'x.db'}"), "x", ["macro_f1"])
    trial = study.ask()
    storage = storage_of(study)
    write, errors = storage.set_trial_user_attr, [StorageAway("disk I/O error")]

    def flaky(*args: Any) -> None:
        if errors:
            raise errors.pop()
        write(*args)

    monkeypatch.setattr(storage, "set_trial_user_attr", flaky)
    beating = Heartbeat(study, interval=0.05)
    beating.start()
    beating.hold(trial.number)
    assert _eventually(lambda: records(study)[0].heartbeat is not None)
    assert "disk I/O error" in capsys.readouterr().err
    assert not beating.lost()
    study.tell(trial, state=TrialState.FAIL)
    assert _eventually(beating.lost)
    beating.hold(None)
    assert not beating.lost()
    beating.close()
    beating.join(timeout=2)
    assert not beating.is_alive()


@dataclass
class Clock:
    """Stands in for the module `time`."""

    now: float = 100.0
    computed: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.computed

    def time(self) -> float:
        return 1e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    return clock


def test_the_slowest_step_and_the_last_one_are_known(clock: Clock) -> None:
    steps = Steps()
    clock.now = 200.0
    assert (steps.slowest, steps.silence) == (None, 100.0)
    for clock.now in (200.0, 203.0, 204.0):
        steps.made()
    clock.now = 206.0
    assert (steps.slowest, steps.silence) == (3.0, 2.0), "what came before the first step was no step"


def test_before_its_first_step_a_trial_that_computes_does_not_hang(clock: Clock) -> None:
    """It imports libraries, say, or tokenises texts."""
    steps = Steps()
    clock.now, clock.computed = 105.0, 4.0
    steps.look()
    assert steps.silence == 0.0
    clock.now, clock.computed = 110.0, 4.1
    steps.look()
    assert steps.silence == 5.0
    steps.made()
    clock.now, clock.computed = 115.0, 9.0
    steps.look()
    assert steps.silence == 5.0, "an endless loop computes too"


def test_to_wait_for_the_storage_is_no_hang(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path / 'x.db'}"), "x", ["macro_f1"])
    beating = Heartbeat(study)
    beating.hold(study.ask().number)
    beating.step()

    def away(*_: object) -> None:
        raise StorageAway("it is away")

    with monkeypatch.context() as outage:
        outage.setattr(heartbeat, "write_progress", away)
        for _ in range(20):
            clock.now += 5.0
            beating.beat()
    clock.now += 1.0
    beating.beat()
    [record] = records(study)
    assert record.heartbeat is not None
    assert record.last_step == record.heartbeat - 1.0
    assert record.slowest_step == 0.0


def test_where_a_trial_is_is_written_with_the_next_beat_and_belongs_to_that_trial(tmp_path: Path) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path / 'x.db'}"), "x", ["macro_f1"])
    beating = Heartbeat(study)
    beating.hold(study.ask().number)
    for at in (StepReport(1, 60), StepReport(20, 60, 0.25)):
        beating.reached(at)
    assert records(study)[0].at is None, "a step alone writes nothing"
    beating.beat()
    assert records(study)[0].at == StepReport(20, 60, 0.25)
    beating.hold(study.ask().number)
    assert records(study)[1].at is None
    clear_attempt(study, 0)
    assert records(study)[0].at is None


def test_before_its_first_step_a_trial_does_not_compute_for_ever(clock: Clock) -> None:
    steps = Steps()
    for clock.now in range(105, 4000, 5):
        clock.computed += 5.0
        steps.look()
    assert steps.silence > 2000.0


def test_optuna_still_has_no_heartbeat_for_what_is_asked_for() -> None:
    """If this fails, Optuna may reclaim our trials itself: see whether `heartbeat` is still needed (Optuna 5.0)."""
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        storage = optuna.storages.RDBStorage("sqlite://", heartbeat_interval=1)
    with pytest.warns(UserWarning, match=r"Heartbeat of storage is supposed to be used with Study.optimize"):
        optuna.create_study(storage=storage).ask()


def _eventually(condition: Any, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("took", "pause"), [(0.01, 5.0), (0.08, 8.0), (2.0, 15.0)])
def test_a_slow_database_is_beaten_less_often_within_limits(took: float, pause: float) -> None:
    assert sparing(5.0, took) == pytest.approx(pause)
