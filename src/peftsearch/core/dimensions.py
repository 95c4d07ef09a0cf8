"""Dimensions of a search space: a fixed value, a choice, or a range of numbers; and what is valid for one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Fixed:
    """One value: nothing to search."""

    value: Scalar


@dataclass(frozen=True)
class Choice:
    """One of several values, in the order written."""

    options: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole numbers if `integer`, sampled on a log scale if `log`."""

    low: float
    high: float
    log: bool = False
    integer: bool = False


@dataclass(frozen=True)
class Text:
    """What is valid where a study writes text of its own: any that `pattern` matches, such as `example`."""

    pattern: str
    example: str


Dimension = Fixed | Choice | Range
Valid = Dimension | Text

RANGES = {"range": (False, False), "log": (True, False), "int": (False, True), "int_log": (True, True)}
"""A range's key in a study file → (log, integer)."""


def number(value: Any) -> Any:
    """`value`, or the number that it spells: YAML 1.1 reads `1e-5` as text."""
    if not isinstance(value, str):
        return value
    try:
        parsed = float(value)
    except ValueError:
        return value
    return parsed if math.isfinite(parsed) else value


def parse_dimension(raw: Any) -> Dimension:
    """The dimension written as `raw` in a study file.

    >>> parse_dimension({"log": ["1e-5", 1e-3]})
    Range(low=1e-05, high=0.001, log=True, integer=False)
    >>> parse_dimension([4, 8])
    Choice(options=(4, 8))

    Raises:
        ValueError: it is none of the forms, or a range that is upside down.
    """
    if isinstance(raw, list):
        return _parse_choice(raw)
    if isinstance(raw, Mapping):
        return _parse_range(raw)
    return Fixed(_scalar(raw))


def contains(dimension: Valid, value: Scalar) -> bool:
    """Whether `value` could be drawn from `dimension`. `True` is no number and `8.0` is no whole number's text."""
    if isinstance(dimension, Text):
        return not isinstance(value, bool) and re.fullmatch(dimension.pattern, as_text(value)) is not None
    if isinstance(dimension, Fixed):
        return _same(dimension.value, value)
    if isinstance(dimension, Choice):
        return any(_same(option, value) for option in dimension.options)
    if isinstance(value, bool | str):
        return False
    whole = not dimension.integer or float(value).is_integer()
    return whole and dimension.low <= value <= dimension.high


def as_text(value: Scalar) -> str:
    """Text as a study file wrote it: YAML reads `8` as a number."""
    return value if isinstance(value, str) else f"{value:g}"


def extremes(dimension: Dimension) -> tuple[Scalar, ...]:
    """The values that decide whether all of `dimension` is valid: its ends, its options or its value."""
    if isinstance(dimension, Fixed):
        return (dimension.value,)
    if isinstance(dimension, Choice):
        return dimension.options
    kind = int if dimension.integer else float
    return (kind(dimension.low), kind(dimension.high))


def describe(dimension: Valid) -> str:
    """A dimension in a few characters, for tables: `4 | 8`, `1e-05 … 0.001 (log)`."""
    if isinstance(dimension, Text):
        return f"text like {dimension.example!r}"
    if isinstance(dimension, Fixed):
        return "nothing" if dimension.value == "" else str(dimension.value)
    if isinstance(dimension, Choice):
        return " | ".join(str(option) for option in dimension.options)
    low, high = (f"{end:g}" for end in (dimension.low, dimension.high))
    return f"{low} … {high}" + (" (log)" if dimension.log else "")


def _same(a: Scalar, b: Scalar) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _scalar(raw: Any) -> Scalar:
    value = number(raw)
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{raw!r} is not a value; write a value, a list of values, or a range like {{log: [1e-5, 1e-3]}}")


def _parse_choice(raw: list[Any]) -> Choice:
    if not raw:
        raise ValueError("an empty list has nothing to choose from")
    options = tuple(_scalar(option) for option in raw)
    if any(_same(a, b) for i, a in enumerate(options) for b in options[:i]):
        raise ValueError(f"{raw!r} names a value twice")
    return Choice(options)


def _parse_range(raw: Mapping[str, Any]) -> Range:
    if len(raw) != 1 or next(iter(raw)) not in RANGES:
        raise ValueError(
            f"{dict(raw)!r} is not a range; write one of {', '.join(f'{{{k}: [low, high]}}' for k in RANGES)}"
        )
    key, ends = next(iter(raw.items()))
    log, integer = RANGES[key]
    values = [number(end) for end in ends] if isinstance(ends, list) else []
    if len(values) != 2 or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise ValueError(f"{{{key}: {ends!r}}} needs two numbers, [low, high]")
    low, high = values
    if low >= high:
        raise ValueError(f"range {low:g}..{high:g} is upside down; write the lower end first")
    if log and low <= 0:
        raise ValueError(f"a log range must start above 0, but starts at {low:g}")
    if integer and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError(f"{{{key}: {ends!r}}} needs whole numbers")
    return Range(float(low), float(high), log=log, integer=integer)
