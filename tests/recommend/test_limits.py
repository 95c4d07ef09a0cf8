"""Limits: how they are written, what misses them, and by how much."""

from __future__ import annotations

import math

import pytest

from peftsearch.core.errors import UserError
from peftsearch.recommend.limits import BOUNDED, Limit, read_limits


@pytest.mark.parametrize(
    ("written", "quantity", "bound"),
    [
        (300_000, "trainable_parameters", 300_000),
        ("300000", "trainable_parameters", 300_000),
        ("300,000", "trainable_parameters", 300_000),
        ("500k", "trainable_parameters", 500_000),
        ("1.5M", "trainable_parameters", 1_500_000),
        ("2B", "trainable_parameters", 2e9),
        ("1%", "parameters_share", 0.01),
        (".5 %", "parameters_share", 0.005),
    ],
)
def test_parameters_are_a_number_or_a_share(written: int | str, quantity: str, bound: float) -> None:
    [found] = read_limits({"max_parameters": written}, "macro_f1")
    assert (found.quantity, found.bound, found.option) == (quantity, pytest.approx(bound), "--max-parameters")


@pytest.mark.parametrize("written", ["", "many", "-5", "1%%", "1e5", "k"])
def test_what_is_no_number_of_parameters_says_so(written: str) -> None:
    with pytest.raises(UserError) as caught:
        read_limits({"max_parameters": written}, "macro_f1")
    assert str(caught.value) == (
        f"--max-parameters {written}: is neither a number of parameters, as 500k or 1.5M, nor a share of those that "
        f"full fine-tuning trains, as 1%"
    )


@pytest.mark.parametrize("name", [*BOUNDED, "min_quality"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_bound_is_a_number(name: str, bad: float) -> None:
    if name == "min_quality" and bad == -1.0:
        assert read_limits({name: bad}, "matthews_correlation")[0].bound == -1.0  # a correlation may be negative
        return
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')} {bad}: is not a number of at least 0"):
        read_limits({name: bad}, "macro_f1")


def test_what_was_not_given_limits_nothing() -> None:
    assert read_limits(dict.fromkeys(BOUNDED), "macro_f1") == []


def test_misses_are_shares_of_the_bound() -> None:
    most, least = read_limits({"max_train_seconds": 10.0, "min_quality": 0.9}, "macro_f1")
    assert [most.miss(value) for value in (9.0, 10.0, 15.0, None)] == [0.0, 0.0, 0.5, math.inf]
    assert [least.miss(value) for value in (0.95, 0.9)] == [0.0, 0.0]
    assert least.miss(0.45) == pytest.approx(0.5)
    assert Limit("--max-parameters", "0", "trainable_parameters", 0.0).miss(1.0) == math.inf
    [of_an_error] = read_limits({"min_quality": 0.2}, "evaluate:mae")
    assert (of_an_error.miss(0.1), of_an_error.miss(0.3)) == (0.0, pytest.approx(0.5))


def test_misses_in_words() -> None:
    share, seconds, quality = read_limits(
        {"max_parameters": "1%", "max_train_seconds": 10.0, "min_quality": 0.9}, "macro_f1"
    )
    assert share.in_words(0.04) == "--max-parameters 1%: it has 4.0 % (300 % more)"
    assert seconds.in_words(12.0) == "--max-train-seconds 10.0: it has 12.00 (20 % more)"
    assert seconds.in_words(1234.0) == "--max-train-seconds 10.0: it has 1,234.00 (123 times as much)"
    assert quality.in_words(0.85) == "--min-quality 0.9: it has 0.8500 (5.6 % less)"
    assert quality.in_words(None) == "--min-quality 0.9: what it has is not known"
    assert Limit("--max-parameters", "0", "trainable_parameters", 0.0).in_words(5.0) == "--max-parameters 0: it has 5"
