from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.constraints import Check, Constraint
from peftsearch.core.measurement import EpochReport
from peftsearch.search.ehvi.observations import observed, scale_of
from peftsearch.storage.records import Record

CONFIG = TrialConfig("tiny", "full", {"learning_rate": 1e-3}, TrainingConfig(epochs=4))


def curve(*scores: float) -> tuple[EpochReport, ...]:
    return tuple(EpochReport(i + 1, 1.0, 1.0, {"macro_f1": s}, 2.0, 0.5, 1000) for i, s in enumerate(scores))


COMPLETE = [
    Record(
        number, "complete", CONFIG, {"macro_f1": end, "train_seconds": 9.0}, curve=curve(0.2, 0.4, (0.4 + end) / 2, end)
    )
    for number, end in enumerate((0.5, 0.6, 0.7, 0.8, 0.9))
]
PRUNED = Record(9, "pruned", CONFIG, curve=curve(0.1, 0.4))
FAILED = Record(10, "failed", CONFIG)


def test_a_pruned_trial_is_expected_to_end_as_the_median_trial_would() -> None:
    assert observed("macro_f1", [*COMPLETE, PRUNED])[-1] == pytest.approx(0.7)
    assert observed("macro_f1", [PRUNED])[0] == 0.4, "no other trial tells how it would go on"


def test_a_pruned_trial_is_charged_all_of_its_epochs() -> None:
    assert observed("train_seconds", [*COMPLETE, PRUNED])[-1] == 8.0
    assert observed("trainable_parameters", [PRUNED])[0] == 1000
    assert math.isnan(observed("latency_ms", [PRUNED])[0])


def test_a_configuration_that_fails_by_itself_has_the_worst_metric_and_no_cost() -> None:
    assert observed("macro_f1", [*COMPLETE, FAILED])[-1] == 0.5
    assert math.isnan(observed("train_seconds", [*COMPLETE, FAILED])[-1])


def test_what_a_constraint_has_found_before_training_is_known() -> None:
    broken = replace(PRUNED, curve=(), checks=(Check(Constraint("trainable_parameters", 10), 5000.0),))
    assert observed("trainable_parameters", [broken])[0] == 5000
    late = replace(PRUNED, checks=(Check(Constraint("train_seconds", 3), 4.0),))
    assert observed("train_seconds", [late])[0] == 8.0, "its seconds until then are no whole trial's"


def test_smaller_is_better_and_costs_are_logarithms() -> None:
    values = np.array([10.0, 100.0, 0.0, math.nan])
    found = scale_of("trainable_parameters", values).losses(values)
    assert found[:3] == pytest.approx([math.log(10), math.log(100), 0.0])
    assert math.isnan(found[3])
    assert scale_of("macro_f1", values).losses(np.array([0.25]))[0] == -0.25
    assert scale_of("throughput", values).losses(np.array([100.0]))[0] == pytest.approx(-math.log(100))


def test_very_short_times_are_equal() -> None:
    values = np.array([0.02, 0.05, 2.0, 4.0, 40.0, 30.0, 20.0])
    found = scale_of("train_seconds", values).losses(values)
    assert found[0] == found[1] == pytest.approx(math.log(0.05 * 4))
    assert found[2] > found[1]
