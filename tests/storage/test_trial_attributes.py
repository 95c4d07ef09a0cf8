from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from peftsearch.core.config import EarlyStopping, TrialConfig
from peftsearch.storage.database import open_study
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.storage.records import records
from peftsearch.storage.trial_attributes import (
    assign_worker,
    baseline_attributes,
    fixed_baseline,
    has_config,
    has_configuration,
    write_config,
    write_curve,
    write_decision,
    write_failure,
    write_heartbeat,
)
from peftsearch.study.starting_points.baselines import Baseline
from tests.helpers.fake_trainer import epoch_report, measured

CONFIG = TrialConfig("b", "full", {"rank": 1})


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters"])


def test_a_baseline_is_read_back_from_the_trial_that_was_enqueued_for_it() -> None:
    study = optuna.create_study()
    written = [Baseline("full", "b", {"rank": 1}, place) for place in (0, None)]
    for baseline in written:
        study.enqueue_trial({}, user_attrs=baseline_attributes(baseline, CONFIG))
    trials = [study.ask() for _ in range(3)]
    assert [fixed_baseline(trial) for trial in trials] == [*written, None]
    assert [has_configuration(trial) for trial in trials] == [True, True, False]
    assert has_config(study.trials[0], CONFIG)


def test_the_names_and_the_json_of_an_enqueued_trial_are_those_of_earlier_versions() -> None:
    """A storage that an earlier version has begun goes on with this one."""
    fixed = {"method": "full", "backbone": "b", "settings": {"rank": 1}}
    common = {"fixed": fixed, "config": CONFIG.to_dict()}
    assert baseline_attributes(Baseline("full", "b", {"rank": 1}, 2), CONFIG) == {**common, "baseline": 2}
    assert baseline_attributes(Baseline("full", "b", {"rank": 1}), CONFIG) == {**common, "default": True}


def test_a_trial_that_an_earlier_version_wrote_is_read(study: Study) -> None:
    report, measurement = epoch_report(CONFIG, 1), measured([epoch_report(CONFIG, 1)])
    written = {
        "config": CONFIG.to_dict(),
        "curve": [report.to_dict()],
        "measurement": measurement.to_dict(),
        "reason": "worse than trial 7",
        "dominated_by": 7,
        "failure": {"kind": "error", "message": "no", "traceback": "…"},
        "worker": {"pid": 1},
        "heartbeat": 5.0,
        "retry_of": 3,
        "baseline": 0,
    }
    study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs=written))
    [found] = records(study)
    assert (found.config, found.curve, found.measurement) == (CONFIG, (report,), measurement)
    assert (found.reason, found.dominated_by, found.failure) == ("worse than trial 7", 7, written["failure"])
    assert (found.worker, found.heartbeat, found.retry_of, found.baseline) == ({"pid": 1}, 5.0, 3, 0)


def test_the_writers_write_what_earlier_versions_wrote(study: Study) -> None:
    trial = study.ask()
    write_config(trial, CONFIG)
    write_curve(trial, [epoch_report(CONFIG, 1)])
    write_decision(trial, "worse than trial 7", 7)
    write_failure(trial, "error", "no", "…")
    assign_worker(trial, {"pid": 1})
    write_heartbeat(storage_of(study), trial_id(study, 0), 5.0)
    assert study.trials[0].user_attrs == {
        "config": CONFIG.to_dict(),
        "curve": [epoch_report(CONFIG, 1).to_dict()],
        "reason": "worse than trial 7",
        "dominated_by": 7,
        "failure": {"kind": "error", "message": "no", "traceback": "…"},
        "worker": {"pid": 1},
        "heartbeat": 5.0,
    }


def test_a_configuration_is_told_from_those_that_differ_in_anything() -> None:
    mine = TrialConfig("b", "full", {"rank": 1})
    unequal = [
        replace(mine, backbone="c"),
        replace(mine, method="lora"),
        replace(mine, settings={"rank": 2}),
        replace(mine, settings={"rank": True}),
        replace(mine, max_length=64),
        replace(mine, training=replace(mine.training, early_stopping=EarlyStopping(2))),
    ]
    trials = [create_trial(value=0.0, user_attrs={"config": other.to_dict()}) for other in [*unequal, mine]]
    assert [has_config(trial, mine) for trial in trials] == [False] * 6 + [True]
    assert not has_config(create_trial(value=0.0), mine)
