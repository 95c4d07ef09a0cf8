from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.search.storage import open_study, records
from tests.helpers.fake_trainer import epoch_report, measured

CONFIG = TrialConfig("b", "lora", {"rank": 8}, TrainingConfig(early_stopping=EarlyStopping(2)))


@pytest.fixture
def study() -> optuna.study.Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters"])


def test_a_study_has_the_directions_and_names_of_its_objectives(study: optuna.study.Study) -> None:
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["macro_f1", "trainable_parameters"]


def test_opening_a_study_again_keeps_its_trials() -> None:
    storage = optuna.storages.InMemoryStorage()
    open_study(storage, "x", ["macro_f1"]).enqueue_trial({})
    assert len(records(open_study(storage, "x", ["macro_f1"]))) == 1


def test_what_is_written_is_read_back(study: optuna.study.Study) -> None:
    curve = [epoch_report(CONFIG, epoch) for epoch in (1, 2)]
    trial = study.ask()
    trial.set_user_attr("config", CONFIG.to_dict())
    trial.set_user_attr("curve", [report.to_dict() for report in curve])
    trial.set_user_attr("measurement", measured(curve).to_dict())
    study.tell(trial, [0.5, 100.0])
    [record] = records(study)
    assert record.state == "complete"
    assert record.config == CONFIG
    assert record.curve == tuple(curve)
    assert record.measurement == measured(curve)
    assert record.values == {"macro_f1": 0.5, "trainable_parameters": 100.0}
    assert record.started is not None
    assert record.ended is not None


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
        trial.set_user_attr("failure", {"kind": failure, "message": ""})
    study.tell(trial, state=told)
    assert [record.state for record in records(study)] == ([shown] if shown else [])


def test_waiting_and_running_trials_have_records(study: optuna.study.Study) -> None:
    study.enqueue_trial({}, user_attrs={"baseline": 0})
    study.enqueue_trial({})
    study.ask()
    assert [(record.state, record.baseline) for record in records(study)] == [("running", 0), ("waiting", None)]
