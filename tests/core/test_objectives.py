"""Contract of the table of objectives: every line reads one finite number from any measurement."""

from __future__ import annotations

import json

import pytest

from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.objectives import OBJECTIVES

METRICS = {
    f"{average}_{metric}": 0.5 for average in ("macro", "weighted") for metric in ("precision", "recall", "f1")
} | {"accuracy": 0.75}
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
)
REPORT = EpochReport(
    epoch=1,
    train_loss=0.9,
    validation_loss=0.8,
    metrics=METRICS,
    train_seconds=4.0,
    evaluation_seconds=0.5,
    trainable_parameters=1000,
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


def test_quality_is_maximised_and_cost_minimised():
    for objective in OBJECTIVES.values():
        assert (objective.direction == "maximize") is (objective.known == "curve")


def test_objectives_that_follow_a_curve_stand_in_every_epoch():
    for objective in OBJECTIVES.values():
        if objective.known == "curve":
            assert objective.name in REPORT.to_dict()


def test_what_is_read():
    values = {
        name: OBJECTIVES[name].read(MEASUREMENT) for name in ("accuracy", "trainable_parameters", "train_seconds")
    }
    assert values == {"accuracy": 0.75, "trainable_parameters": 1000.0, "train_seconds": 12.5}


def test_measurement_survives_json():
    assert Measurement.from_dict(json.loads(json.dumps(MEASUREMENT.to_dict()))) == MEASUREMENT


def test_epoch_report_is_one_flat_object_and_back():
    flat = json.loads(json.dumps(REPORT.to_dict()))
    assert flat["macro_f1"] == 0.5
    assert all(isinstance(value, int | float) for value in flat.values())
    assert EpochReport.from_dict(flat) == REPORT
