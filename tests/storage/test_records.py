from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.storage import records as storage
from peftsearch.storage.budget import finished, state_of_failure
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.liveness.recovery import put_back
from peftsearch.storage.records import Record, record, records
from peftsearch.storage.trial_attributes import (
    assign_worker,
    write_config,
    write_curve,
    write_failure,
    write_measurement,
)
from tests.helpers.fake_trainer import epoch_report, measured

CONFIG = TrialConfig("b", "lora", {"rank": 8}, TrainingConfig(early_stopping=EarlyStopping(2)))


@pytest.fixture
def study() -> optuna.study.Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters"])


def test_what_is_written_is_read_back(study: optuna.study.Study) -> None:
    curve = [epoch_report(CONFIG, epoch) for epoch in (1, 2)]
    trial = study.ask()
    write_config(trial, CONFIG)
    write_curve(trial, curve)
    write_measurement(trial, measured(curve))
    assign_worker(trial, {"pid": 1})
    study.tell(trial, [0.5, 100.0])
    [found] = records(study)
    assert found.state == "complete"
    assert found.config == CONFIG
    assert found.curve == tuple(curve)
    assert found.measurement == measured(curve)
    assert found.values == {"macro_f1": 0.5, "trainable_parameters": 100.0}
    assert found.worker == {"pid": 1}
    assert found.started is not None
    assert found.ended is not None


@pytest.mark.parametrize(
    ("told", "failure", "shown"),
    [
        (TrialState.PRUNED, None, "pruned"),
        (TrialState.PRUNED, "out_of_memory", "failed"),
        (TrialState.FAIL, "error", "failed"),
        (TrialState.FAIL, None, "failed"),
        (TrialState.FAIL, "withdrawn", None),
        (TrialState.FAIL, "duplicate", None),
    ],
)
def test_a_failure_is_never_shown_as_a_pruned_trial(
    study: optuna.study.Study, told: TrialState, failure: str | None, shown: str | None
) -> None:
    trial = study.ask()
    if failure:
        write_failure(trial, failure, "")
    study.tell(trial, state=told)
    assert [record.state for record in records(study)] == ([shown] if shown else [])


def test_what_counts_toward_the_budget_and_is_done(study: optuna.study.Study) -> None:
    for kind in ("out_of_memory", "not_finite", "error", "killed"):
        trial = study.ask()
        write_failure(trial, kind, "")
        study.tell(trial, state=state_of_failure(kind))
    study.tell(study.ask(), [0.5, 100.0])
    study.ask()
    found = records(study)
    assert [record.counts for record in found] == [True, True, False, False, True, True]
    assert [record.done for record in found] == [True, True, False, False, True, False]
    assert finished(study) == sum(record.done for record in found)


def test_waiting_and_running_trials_have_records(study: optuna.study.Study) -> None:
    study.enqueue_trial({}, user_attrs={"baseline": 0})
    study.enqueue_trial({})
    study.ask()
    assert [(record.state, record.baseline) for record in records(study)] == [("running", 0), ("waiting", None)]


def test_kept_records_are_those_that_another_process_would_read(tmp_path: Path) -> None:
    """Trials change between two looks, here and elsewhere; each opening of the storage is as a process of its own."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    mine, other = (open_study(open_storage(url), "x", ["macro_f1", "trainable_parameters"]) for _ in range(2))
    for state in ("waiting", "running", "complete", "pruned", "failed", "withdrawn"):
        mine.enqueue_trial({}, user_attrs={"config": CONFIG.to_dict(), "meant": state})
    running = [other.ask() for _ in range(6)]
    for change in range(6):
        trial = running[change]
        write_curve(trial, [epoch_report(CONFIG, epoch) for epoch in range(1, change + 2)])
        if change == 2:
            other.tell(trial, [0.5, 100.0])
        elif change == 3:
            mine.tell(trial.number, state=TrialState.PRUNED)
        elif change > 3:
            write_failure(trial, "withdrawn" if change == 5 else "error", "")
            other.tell(trial, state=TrialState.FAIL)
        fresh = records(open_study(open_storage(url), "x", ["macro_f1", "trainable_parameters"]))
        assert records(mine) == records(other) == fresh
    put_back(mine, running[0].number)
    assert len(records(mine)[0].curve) == 1, "it may go on after its epochs"
    assert [record.state for record in records(mine)] == ["waiting", "running", "complete", "pruned", "failed"]


def test_a_finished_trials_record_is_made_once(study: optuna.study.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        study.tell(study.ask(), [0.5, 100.0])
    study.ask()
    made = []
    monkeypatch.setattr(storage, "record", lambda trial, read: made.append(trial.number) or record(trial, read))
    before = records(study)
    assert records(study) == before
    assert made == [0, 1, 2, 3, 3]


def test_the_best_so_far_of_a_metric() -> None:
    curve = [epoch_report(CONFIG, epoch) for epoch in (3, 1, 2, 4)]
    scores = [report.metrics["macro_f1"] for report in curve]
    assert Record(0, "running", curve=tuple(curve)).bests("macro_f1") == (*[scores[0]] * 3, scores[3])
    assert Record(0, "running").bests("macro_f1") == ()
