from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from peftsearch.core.dimensions import (
    Choice,
    Fixed,
    Range,
    Text,
    checked,
    complaint,
    contains,
    describe,
    extremes,
    number,
)


def test_true_and_one_are_two_values():
    assert contains(Choice((1, True)), True)
    assert not contains(Choice((1, 2)), True)
    assert not contains(Fixed(False), 0)
    assert not contains(Range(0, 2), True)


@pytest.mark.parametrize(
    ("value", "inside"), [(1, True), (5.0, True), (2.5, False), (0, False), (6, False), ("3", False)]
)
def test_whole_numbers(value, inside):
    assert contains(Range(1, 5, integer=True), value) is inside


def test_both_ends_of_a_range_count():
    assert contains(Range(0.1, 0.5), 0.1)
    assert contains(Range(0.1, 0.5), 0.5)
    assert not contains(Range(0.1, 0.5), 0.500001)
    assert not contains(Range(0.0, 1.0), float("nan"))


def test_extremes_have_the_range_s_type():
    assert [type(end) for end in extremes(Range(1.0, 5.0, integer=True))] == [int, int]
    assert extremes(Range(0.0, 1.0)) == (0.0, 1.0)
    assert extremes(Choice(("a", "b"))) == ("a", "b")


def test_numbers_spelled_as_text():
    assert number("1e-5") == 1e-5
    assert [number(text) for text in ("inf", "nan", "query")] == ["inf", "nan", "query"]


@pytest.mark.parametrize(
    ("value", "inside"), [("8-11; all", True), ("", True), (8.0, True), ("A", False), (True, False)]
)
def test_text_of_its_own(value, inside):
    assert contains(Text("[0-9a-z; -]*", "8; all"), value) is inside


def test_description():
    found = [
        describe(d) for d in (Fixed("cls"), Choice((4, 8)), Range(1e-5, 1e-3, log=True), Range(1, 5, integer=True))
    ]
    assert found == ["cls", "4 | 8", "1e-05 … 0.001 (log)", "1 … 5"]
    assert [describe(d) for d in (Fixed(""), Text(".*", "8; all"))] == ["nothing", "text like '8; all'"]


@pytest.mark.parametrize(
    ("valid", "raw", "value"),
    [
        (Range(1, 64, integer=True), "8", 8),
        (Range(1, 64, integer=True), 8.0, 8),
        (Range(0.0, 12.0), 1, 1),
        (Range(0.0, 1.0), "1e-3", 0.001),
        (Choice((1, True)), True, True),
        (Choice(("none", "balanced")), "none", "none"),
        (Text("[0-9]+", "8"), 8, "8"),
    ],
)
def test_a_valid_value_has_the_type_of_what_is_valid(valid, raw, value):
    found = checked(valid, raw)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("valid", "raw", "problem"),
    [
        (Range(1, 64, integer=True), 2.5, "must be a whole number within 1 … 64, but got 2.5"),
        (Range(0.0, 0.9), True, "must be within 0 … 0.9, but got True"),
        (Choice(("none", "balanced")), "balance", "got 'balance'; did you mean 'balanced'?"),
        (Text("[a-z]+", "all"), "8", "must be text like 'all', but got 8.0"),
        (Choice(("none",)), [1], "got [1]; valid: none"),
    ],
)
def test_why_a_value_is_not_valid(valid, raw, problem):
    assert complaint(valid, number(raw)) == problem
    with pytest.raises(ValueError) as error:
        checked(valid, raw)
    assert str(error.value) == problem


def test_pydantic_obeys_a_dimension_in_an_annotation():
    field = TypeAdapter(Annotated[int, Range(1, 9, integer=True)])
    assert field.validate_python("3.0") == 3
    with pytest.raises(ValidationError, match="must be a whole number within 1 … 9, but got 10"):
        field.validate_python(10)
