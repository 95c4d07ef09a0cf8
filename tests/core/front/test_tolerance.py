from __future__ import annotations

from typing import Any

import pytest

from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Margin, margin_of, read_margin
from peftsearch.core.objectives import OBJECTIVES


@pytest.mark.parametrize(
    ("objective", "written", "margin", "text"),
    [
        ("train_seconds", "10%", Margin(0.1, relative=True), "10%"),
        ("train_seconds", " 2.5 % ", Margin(0.025, relative=True), "2.5%"),
        ("train_seconds", 0.5, Margin(0.5), "0.5"),
        ("macro_f1", "5e-3", Margin(0.005), "0.005"),
        ("macro_f1", 0, Margin(0.0), "0"),
        ("trainable_parameters", 1000, Margin(1000.0), "1000"),
        ("evaluate:mae", 0.1, Margin(0.1), "0.1"),
    ],
)
def test_a_margin_is_read_as_a_number_or_a_share_and_written_back(
    objective: str, written: Any, margin: Margin, text: str
) -> None:
    assert read_margin(objective, written) == margin
    assert str(margin) == text
    assert read_margin(objective, str(margin)) == margin


@pytest.mark.parametrize(
    ("objective", "written", "problem"),
    [
        ("train_seconds", "fast", "must be a number or a percentage like 10%, but got 'fast'"),
        ("train_seconds", "%", "must be a number or a percentage like 10%, but got '%'"),
        ("train_seconds", True, "must be a number or a percentage like 10%, but got True"),
        ("train_seconds", None, "must be a number or a percentage like 10%, but got None"),
        ("train_seconds", float("nan"), "must be a number or a percentage like 10%, but got nan"),
        ("train_seconds", -1, "must be 0 or more, but got -1"),
        ("train_seconds", "100%", "must be at least 0% and below 100%, but got '100%'"),
        ("train_seconds", "-1%", "must be at least 0% and below 100%, but got '-1%'"),
        ("macro_f1", "1%", "must be a number like 0.005, since a percentage is of a cost, but got '1%'"),
        ("macro_f1", 5, "must be at least 0 and below 1, but got 5"),
        ("matthews_correlation", 2, "must be at least 0 and below 2, but got 2"),
    ],
)
def test_a_margin_that_cannot_be_meant(objective: str, written: Any, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        read_margin(objective, written)
    assert str(raised.value) == problem


def test_what_is_timed_and_nothing_else_has_a_margin_by_default() -> None:
    timed = {name for name in OBJECTIVES if margin_of(name, AS_MEASURED).amount}
    assert timed == {"train_seconds", "evaluation_seconds", "latency_ms", "throughput"}
    assert margin_of("train_seconds", AS_MEASURED) == Margin(0.1, relative=True, floor=0.1)


def test_an_exact_tolerance_leaves_no_objective_a_margin() -> None:
    assert not any(margin_of(name, EXACT).amount for name in (*OBJECTIVES, "evaluate:mae"))


def test_a_margin_of_ones_own_takes_the_place_of_the_default() -> None:
    assert margin_of("train_seconds", {"train_seconds": Margin(0.0)}).amount == 0
    assert margin_of("train_seconds", {"macro_f1": Margin(0.1)}).amount == 0.1
