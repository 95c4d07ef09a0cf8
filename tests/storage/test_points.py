from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.constraints import Constraint
from peftsearch.core.front.pareto import losses_of
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.points import Point
from peftsearch.storage.database import open_study
from peftsearch.storage.points import epochs_of, points_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.trial_attributes import write_config, write_curve, write_so_far
from tests.helpers.records import measurement

OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")
DRAWS = 200


def drawn(random: np.random.Generator, number: int = 0) -> Record:
    """A complete trial with a curve of up to six epochs, as training measures it."""
    config = TrialConfig("b", "lora", {}, TrainingConfig(epochs=6))
    curve = tuple(
        EpochReport(
            epoch,
            train_loss=1.0,
            validation_loss=float(random.random()),
            metrics={"macro_f1": float(random.choice([0.2, 0.5, random.random()]))},
            train_seconds=float(random.random()),
            evaluation_seconds=0.1,
            trainable_parameters=int(random.integers(1, 4)),
            wall_seconds=float(random.random()),
        )
        for epoch in range(1, int(random.integers(2, 7)) + 1)
    )
    best = max(curve, key=lambda report: report.metrics["macro_f1"])
    measured = replace(
        measurement(latency_ms=2.0, model_size_mb=3.0),
        metrics={**best.metrics, "validation_loss": best.validation_loss},
        best_epoch=best.epoch,
        epochs=len(curve),
        trainable_parameters=max(report.trainable_parameters for report in curve),
        train_seconds=sum(report.train_seconds for report in curve),
        evaluation_seconds=sum(report.evaluation_seconds for report in curve),
        wall_seconds=(wall := sum(report.wall_seconds or 0.0 for report in curve)),
        actual_train_seconds=wall - 0.25,
    )
    return Record(number, "complete", config, valued(measured, OBJECTIVES), measured, curve)


def valued(measured: Measurement, objectives: tuple[str, ...]) -> dict[str, float]:
    everything = {
        "macro_f1": measured.metrics["macro_f1"],
        "trainable_parameters": float(measured.trainable_parameters),
        "train_seconds": measured.train_seconds,
        "latency_ms": measured.latency_ms or 0.0,
    }
    return {name: everything[name] for name in objectives}


def test_an_epoch_is_what_a_training_that_ended_there_would_be() -> None:
    random = np.random.default_rng(0)
    for _ in range(DRAWS):
        whole = drawn(random)
        for point in epochs_of(whole, OBJECTIVES):
            assert point.epoch is not None
            assert point.measurement is not None
            until = whole.curve[: point.epoch]
            assert (point.state, point.point, point.config) == ("complete", Point(0, point.epoch), whole.config)
            assert point.curve == until
            assert point.values == valued(point.measurement, OBJECTIVES)
            assert point.values["macro_f1"] == until[-1].metrics["macro_f1"]
            assert point.values["train_seconds"] == sum(report.train_seconds for report in until)
            assert point.values["trainable_parameters"] == max(report.trainable_parameters for report in until)
            assert point.measurement.metrics["validation_loss"] == until[-1].validation_loss
            assert (point.measurement.best_epoch, point.measurement.epochs) == (point.epoch, point.epoch)
            assert point.measurement.wall_seconds == sum(report.wall_seconds or 0.0 for report in until)
            assert point.measurement.actual_train_seconds == pytest.approx(point.measurement.wall_seconds - 0.25)


def test_a_whole_trial_is_never_better_than_its_best_epoch() -> None:
    random = np.random.default_rng(1)
    for _ in range(DRAWS):
        whole = drawn(random)
        assert whole.measurement is not None
        points = {record.epoch: record for record in points_of([whole], OBJECTIVES)}
        best = points.get(whole.measurement.best_epoch, whole)
        own, theirs = losses_of([[r.values[name] for name in OBJECTIVES] for r in (best, whole)], OBJECTIVES)
        assert (own <= theirs).all()


def test_a_best_epoch_that_is_the_whole_trial_is_one_point() -> None:
    random = np.random.default_rng(2)
    lasts = 0
    for _ in range(DRAWS):
        whole = drawn(random)
        assert whole.measurement is not None
        epochs, last = [record.epoch for record in epochs_of(whole, OBJECTIVES)], len(whole.curve)
        lasts += whole.measurement.best_epoch == last
        assert epochs == list(range(1, last + (whole.measurement.best_epoch != last)))
        free = replace(whole, values={"macro_f1": whole.values["macro_f1"]})  # where time is no objective
        left_out = {*range(1, last + 1)} - {record.epoch for record in epochs_of(free, ("macro_f1",))}
        assert left_out == {whole.measurement.best_epoch}
    assert 0 < lasts < DRAWS


def test_the_whole_trial_comes_after_its_epochs_and_is_listed_if_it_is_complete() -> None:
    whole = drawn(np.random.default_rng(3))
    stopped = replace(whole, number=1, state="pruned", values={}, measurement=None, so_far=whole.measurement)
    found = points_of([whole, stopped, Record(2, "waiting"), Record(3, "running", curve=whole.curve)], OBJECTIVES)
    ends = {0: [*epochs_of(whole, OBJECTIVES), whole], 1: list(epochs_of(stopped, OBJECTIVES))}
    assert found == [*ends[0], *ends[1]]
    assert points_of([whole, stopped], OBJECTIVES, every_epoch=False) == [whole]
    assert [record.epoch for record in ends[1]] == list(range(1, len(whole.curve) + 1))


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("it failed", {"state": "failed"}),
        ("it was pruned by an older version", {"state": "pruned", "measurement": None}),
        ("it has no curve", {"curve": ()}),
    ],
)
def test_a_trial_has_no_points_because(why: str, changes: dict[str, object]) -> None:
    assert epochs_of(replace(drawn(np.random.default_rng(4)), **changes), OBJECTIVES) == ()  # type: ignore[arg-type]


def test_an_epoch_of_which_an_objective_is_not_known_is_no_point() -> None:
    whole = drawn(np.random.default_rng(5))
    assert whole.measurement is not None
    names = (*OBJECTIVES, "latency_ms")
    assert len(epochs_of(whole, names)) == len(epochs_of(whole, OBJECTIVES)) > 0
    unmeasured = replace(whole, measurement=replace(whole.measurement, latency_ms=None))
    assert epochs_of(unmeasured, names) == ()
    assert epochs_of(whole, (*OBJECTIVES, "accuracy")) == ()


def test_each_epoch_keeps_or_breaks_the_constraints_by_itself() -> None:
    whole = drawn(np.random.default_rng(6))
    assert len(whole.curve) > 2
    bound = whole.curve[0].train_seconds + whole.curve[1].train_seconds
    bounded = replace(whole, constraints=(Constraint("train_seconds", bound),))
    assert [record.feasible for record in epochs_of(bounded, OBJECTIVES)][:3] == [True, True, False]


def test_a_pruned_trials_epochs_are_read_back_from_the_storage() -> None:
    study = open_study(optuna.storages.InMemoryStorage(), "x", OBJECTIVES)
    whole, trial = drawn(np.random.default_rng(7)), study.ask()
    assert whole.config is not None
    assert whole.measurement is not None
    write_config(trial, whole.config)
    write_curve(trial, whole.curve)
    write_so_far(trial, whole.measurement)
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    [found] = records(study)
    assert (found.measurement, found.so_far) == (None, whole.measurement)
    assert [one.values for one in epochs_of(found, OBJECTIVES)] == [
        one.values for one in epochs_of(replace(whole, measurement=None, so_far=whole.measurement), OBJECTIVES)
    ]
    assert epochs_of(found, OBJECTIVES) is epochs_of(records(study)[0], OBJECTIVES)  # computed once
