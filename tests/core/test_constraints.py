"""Bounds on objectives, in words that never say a broken one is kept."""

from __future__ import annotations

import pytest

from peftsearch.core.constraints import (
    BreaksConstraint,
    Check,
    Constraint,
    breaking,
    checks_before_training,
    checks_of,
    checks_of_values,
)
from tests.helpers.records import measurement

SMALL = Constraint("trainable_parameters", 1_000_000)
GOOD = Constraint("macro_f1", 0.8)
SWIFT = Constraint("latency_ms", 20)


def test_a_bound_is_an_upper_one_where_less_is_better() -> None:
    assert [str(constraint) for constraint in (SMALL, GOOD, SWIFT)] == [
        "trainable_parameters <= 1,000,000",
        "macro_f1 >= 0.8",
        "latency_ms <= 20",
    ]


@pytest.mark.parametrize(
    ("constraint", "value", "excess", "words"),
    [
        (SMALL, 22_716_676.0, 21.716676, "has 22,716,676"),
        (SMALL, 1_000_000.0, 0.0, "has 1,000,000"),
        (SMALL, 500_000.0, -0.5, "has 500,000"),
        (GOOD, 0.6, 0.25, "has 0.6000"),
        (GOOD, 0.79999999, 1.25e-8, "has 0.79999999"),
        (GOOD, 0.8, 0.0, "has 0.8000"),
        (SWIFT, 20.04, 0.002, "has 20.04"),
        (Constraint("matthews_correlation", -0.5), -0.75, 0.5, "has -0.7500"),
        (Constraint("trainable_parameters", 0), 12.0, 12.0, "has 12"),
    ],
)
def test_how_far_a_value_is_beyond_a_bound(constraint: Constraint, value: float, excess: float, words: str) -> None:
    check = Check(constraint, value)
    assert check.excess == pytest.approx(excess)
    assert check.broken is (excess > 0)
    assert str(check) == f"{constraint}: {words}"


def test_what_was_not_measured_breaks_nothing_and_says_so() -> None:
    checks = checks_of([SMALL, GOOD, SWIFT], measurement(macro_f1=0.9, parameters=2_000_000))
    assert [(check.value, check.broken) for check in checks] == [(2_000_000.0, True), (0.9, False), (None, False)]
    assert str(checks[2]) == "latency_ms <= 20: not measured"
    assert breaking(checks) == "breaks the constraint trainable_parameters <= 1,000,000: has 2,000,000"
    assert breaking(checks[1:]) == ""


def test_a_trial_that_breaks_several_names_them_all() -> None:
    assert str(BreaksConstraint(checks_of_values([SMALL, GOOD], {"trainable_parameters": 2e6, "macro_f1": 0.5}))) == (
        "breaks the constraints trainable_parameters <= 1,000,000: has 2,000,000; macro_f1 >= 0.8: has 0.5000"
    )


def test_a_count_of_parameters_tells_the_size_too() -> None:
    checks = checks_before_training([SMALL, GOOD, SWIFT, Constraint("model_size_mb", 2)], 1_048_576)
    assert [str(check) for check in checks] == [
        "trainable_parameters <= 1,000,000: has 1,048,576",
        "model_size_mb <= 2: has 4.00",
    ]
