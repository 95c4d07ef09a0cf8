"""Contract of the table of objectives: every line reads one finite number from any measurement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.measurement import ClassReport, EpochReport, Measurement
from peftsearch.core.objectives import (
    OBJECTIVES,
    OTHER_NAMES,
    check_classes,
    complaint_about,
    find_objective,
    is_metric,
    is_quality,
    positive_class,
    quality_objective,
    selection_metric,
    value_of,
)
from peftsearch.training.metrics.classification import class_report, classification_metrics

LOGITS = np.eye(2)[[0, 1, 1, 0]]
LABELS = np.array([0, 1, 0, 0])
METRICS = classification_metrics(LOGITS, LABELS)
"""As a trial has them, so that the table names nothing that no trial measures."""

MEASUREMENT = Measurement(
    metrics=METRICS,
    best_epoch=2,
    epochs=3,
    trainable_parameters=1000,
    total_parameters=5000,
    train_seconds=12.5,
    evaluation_seconds=1.5,
    evaluation_samples_per_second=400.0,
    peak_memory_mb=300.0,
    device="cpu",
    precision="fp32",
    seed=42,
    data_fingerprint="abc",
    micro_batch_size=32,
    padding_share=0.1,
    versions={"torch": "2.13.0"},
    classes=class_report(LOGITS, LABELS, ["no", "yes"]),
    model_size_mb=1.5,
    latency_ms=4.0,
)
REPORT = EpochReport(
    epoch=1,
    train_loss=0.9,
    validation_loss=0.8,
    metrics=METRICS,
    train_seconds=4.0,
    evaluation_seconds=0.5,
    trainable_parameters=1000,
    wall_seconds=6.5,
    evaluation_wall_seconds=0.75,
)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_contract(name):
    objective = OBJECTIVES[name]
    assert objective.name == name
    assert objective.direction in ("maximize", "minimize")
    assert objective.known in ("curve", "start", "time", "end")
    assert objective.unit
    assert objective.summary
    assert isinstance(objective.read(MEASUREMENT), float)


def test_quality_is_a_metric_of_which_more_is_better():
    errors = {name for name in OBJECTIVES if is_metric(name) and not is_quality(name)}
    assert errors == {"expected_calibration_error"}
    assert not is_quality("throughput")
    assert is_quality("evaluate:accuracy")
    assert not is_quality("evaluate:mae")


def test_qualities_have_bounds_within_which_they_are_extrapolated():
    for objective in OBJECTIVES.values():
        assert (objective.bounds is not None) is is_quality(objective.name)
    assert find_objective("matthews_correlation").bounds == (-1.0, 1.0)
    assert find_objective("matthews_correlation").unit == "-1..1"


def test_a_metric_of_evaluate_is_an_objective_by_its_name():
    objective = find_objective("evaluate:accuracy")
    assert (objective.direction, objective.bounds, is_metric("evaluate:accuracy")) == ("maximize", None, True)
    assert find_objective("evaluate:mae").direction == "minimize"
    assert complaint_about("evaluate:mae") is None


@pytest.mark.parametrize(
    ("objectives", "ranked_by", "selected_by"),
    [
        (["train_seconds", "accuracy", "macro_f1"], "accuracy", "accuracy"),
        (["evaluate:mae", "train_seconds"], "evaluate:mae", "macro_f1"),
        (["train_seconds", "peak_memory_mb"], "train_seconds", "macro_f1"),
        (["throughput", "expected_calibration_error", "worst_class_f1"], "worst_class_f1", "worst_class_f1"),
        (["throughput", "expected_calibration_error"], "expected_calibration_error", "macro_f1"),
    ],
)
def test_trials_are_ranked_by_an_objective_and_epochs_selected_by_a_maximised_metric(
    objectives: list[str], ranked_by: str, selected_by: str
) -> None:
    assert quality_objective(objectives) == ranked_by
    assert selection_metric(objectives) == selected_by


@pytest.mark.parametrize("name", ["evaluate:", "evaluate:../metrics/x", "evaluate:/tmp/x.py", "evaluate:someone/x"])
def test_only_names_of_metrics_follow_evaluate(name):
    assert complaint_about(name) == (
        f"no objective {name!r}; after 'evaluate:' stands a metric's name, as in 'evaluate:accuracy'"
    )
    with pytest.raises(KeyError):
        find_objective(name)


def test_an_objective_of_two_classes_is_refused_for_six():
    check_classes(["macro_f1", "f1_positive"], ["no", "yes"])
    with pytest.raises(UserError) as error:
        check_classes(["macro_f1", "f1_positive"], list("abcdef"))
    assert str(error.value) == (
        "objective 'f1_positive' needs 2 classes, but the data has 6 (a, b, c, …); take macro_f1 instead"
    )


def test_the_positive_class_is_the_second():
    assert positive_class(["f1_positive"], ["no", "yes"]) == "yes"
    assert positive_class(["macro_f1"], ["no", "yes"]) is None


def test_a_class_report_is_its_matrix():
    report = MEASUREMENT.classes
    assert report.matrix() == [[2, 1], [0, 1]]
    assert report == ClassReport(("no", "yes"), ((0, 0, 2), (0, 1, 1), (1, 1, 1)))


def test_a_measurement_without_a_class_report_still_reads():
    old = {name: value for name, value in MEASUREMENT.to_dict().items() if name != "classes"}
    assert Measurement.from_dict(old).classes is None


def test_objectives_that_follow_a_curve_stand_in_every_epoch():
    for objective in OBJECTIVES.values():
        if objective.known == "curve":
            assert objective.name in REPORT.to_dict()


def test_what_a_count_of_parameters_tells_before_the_first_step():
    known = {name: of(1_000_000) for name in OBJECTIVES if (of := OBJECTIVES[name].of_parameters)}
    assert known == {"trainable_parameters": 1_000_000.0, "model_size_mb": pytest.approx(3.815, abs=1e-3)}
    assert set(known) == {objective.name for objective in OBJECTIVES.values() if objective.known == "start"}


def test_what_a_trial_of_an_earlier_version_has_not_measured_has_no_value():
    old = replace(MEASUREMENT, model_size_mb=None, metrics={"macro_f1": 0.5})
    assert value_of("model_size_mb", old) is None
    assert value_of("expected_calibration_error", old) is None
    assert value_of("macro_f1", old) == 0.5


def test_what_is_read():
    values = {
        name: OBJECTIVES[name].read(MEASUREMENT) for name in ("accuracy", "trainable_parameters", "train_seconds")
    }
    assert values == {"accuracy": 0.75, "trainable_parameters": 1000.0, "train_seconds": 12.5}


def test_measurement_survives_json():
    assert Measurement.from_dict(json.loads(json.dumps(MEASUREMENT.to_dict()))) == MEASUREMENT


def test_epoch_report_is_one_flat_object_and_back():
    flat = json.loads(json.dumps(REPORT.to_dict()))
    assert flat["accuracy"] == 0.75
    assert all(isinstance(value, int | float) for value in flat.values())
    assert EpochReport.from_dict(flat) == REPORT
    assert REPORT.duration == 6.5 + 0.75
    del flat["wall_seconds"], flat["evaluation_wall_seconds"]
    earlier = EpochReport.from_dict(flat)
    assert earlier == replace(REPORT, wall_seconds=None, evaluation_wall_seconds=None)
    assert earlier.duration == 4.0 + 0.5, "trials of earlier versions were timed by the wall clock"


def test_objectives_by_other_names() -> None:
    assert complaint_about("F1") == "no objective 'F1'; did you mean 'macro_f1'?"
    assert complaint_about("time") == "no objective 'time'; did you mean 'train_seconds'?"
    assert set(OTHER_NAMES.values()) <= OBJECTIVES.keys()
    assert not OTHER_NAMES.keys() & OBJECTIVES.keys()
