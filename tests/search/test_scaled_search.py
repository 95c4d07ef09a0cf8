"""A search on two kinds of device does what it would have done on one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import Constraint
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.seconds import timed_in
from peftsearch.results.front import front
from peftsearch.search import execute
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import write_constraints
from peftsearch.storage.times.calibrations import write_calibration
from peftsearch.storage.times.scale import TIMED_IN
from peftsearch.storage.trial_attributes import assign_worker
from tests.helpers import fake_trainer
from tests.helpers.records import OBJECTIVES

SLOWER = {"fast": 1.0, "slow": 4.0}
TRIALS = 16
Names = Callable[[int], str]


def device_of(number: int) -> str:
    return "slow" if number % 2 else "fast"


def trainer(device: str) -> Any:
    """Trains as the fake trainer does, and takes as long as the device does."""

    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        curve = [
            replace(epoch, train_seconds=epoch.train_seconds * SLOWER[device])
            for epoch in (fake_trainer.epoch_report(config, number) for number in (1, 2, 3, 4))
        ]
        for epoch in curve:
            report(replace(epoch, trained=result(curve[: epoch.epoch], device)))
        return result(curve, device)

    return train


def result(curve: Any, device: str) -> fake_trainer.FakeResult:
    return fake_trainer.FakeResult(replace(fake_trainer.measured(list(curve)), device=device))


def searched(folder: Path, device: Names, *constraints: Constraint) -> Study:
    """A search whose trial of each number is trained on the device of that name."""
    folder.mkdir()
    study = open_study(open_storage(f"sqlite:///{folder}/toy.db"), "toy", OBJECTIVES)
    write_constraints(study, constraints)
    for name, slower in SLOWER.items():
        seconds = {"training": 0.5 * slower, "evaluation": 0.125}
        write_calibration(study, "encoder", timed_in("wall", name, exact=False), seconds, exact=False)
    for number in range(TRIALS):
        trial = study.ask()
        config = TrialConfig("b", ("lora", "full")[number % 3 == 0], {"rank": number})
        trial.set_user_attr("config", config.to_dict())
        assign_worker(trial, {TIMED_IN: timed_in("wall", device(number), exact=False)})
        train, run_folder = trainer(device(number)), RunFolder(folder / "runs")
        execute.run(study, trial, config, train, "dominated", run_folder, lambda: False)
    return study


def outcome(record: Record) -> Any:
    ends = (record.state, record.reason, record.dominated_by, record.values, record.feasible)
    return (*ends, [epoch.train_seconds for epoch in record.curve])


@pytest.mark.parametrize("constraints", [(), (Constraint("train_seconds", 6.2),)], ids=["free", "bounded"])
def test_pruner_front_and_kept_weights_are_those_of_a_search_on_one_device(
    tmp_path: Path, constraints: tuple[Constraint, ...]
) -> None:
    one, two = (
        searched(tmp_path / str(n), device, *constraints) for n, device in enumerate((lambda _: "fast", device_of))
    )
    own, mixed = records(one), records(two)
    assert [outcome(record) for record in mixed] == [outcome(record) for record in own]
    states = {record.state for record in own}
    assert states == {"complete", "pruned"}, "else the test shows little"
    fronts = [front(found, OBJECTIVES, every_epoch=True) for found in (own, mixed)]
    assert [row.point for row in fronts[0]] == [row.point for row in fronts[1]]
    assert [row.objectives for row in fronts[0]] == [row.objectives for row in fronts[1]]
    kept = [sorted(each.name for each in (tmp_path / n / "runs" / "weights").iterdir()) for n in ("0", "1")]
    assert kept[0] == kept[1]
    told = [[trial.values for trial in study.get_trials()] for study in (one, two)]
    assert told[0] == told[1], "TPE and optuna-dashboard read what Optuna was told"
