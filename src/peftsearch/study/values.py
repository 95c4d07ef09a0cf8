"""Values and dimensions as a study file writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from peftsearch.core.dimensions import (
    Choice,
    Dimension,
    Fixed,
    Range,
    Scalar,
    Text,
    Valid,
    complaint,
    describe,
    extremes,
    in_type_of,
    number,
    same_value,
)
from peftsearch.study.mistakes.problems import Problems, Where

RANGES = {"range": (False, False), "log": (True, False), "int": (False, True), "int_log": (True, True)}
"""Whether the range is logarithmic, and whether it is integer, by the key that a study file writes it with."""


def parse_dimension(raw: Any) -> Dimension:
    """The dimension that a study file writes as `raw`: a value, a list of values, or a range as `{log: [1, 9]}`.

    >>> parse_dimension({"log": ["1e-5", 1e-3]})
    Range(low=1e-05, high=0.001, log=True, integer=False)
    >>> parse_dimension([4, 8])
    Choice(options=(4, 8))

    Raises:
        ValueError: it has none of these forms, or is a range whose lower end is not below its upper one.
    """
    if isinstance(raw, list):
        return _parse_choice(raw)
    if isinstance(raw, Mapping):
        return _parse_range(raw)
    return Fixed(_scalar(raw))


def read_dimension(raw: Any, valid: Valid, problems: Problems, where: Where) -> Dimension | None:
    """The dimension that is written as `raw`; None, and a problem for each bad value, if not all of it is `valid`."""
    try:
        dimension = parse_dimension(raw)
    except ValueError as error:
        problems.add(where, str(error))
        return None
    found = [text for text in (complaint(valid, value) for value in extremes(dimension)) if text]
    if not found and isinstance(dimension, Range):
        found = _wrong_range(dimension, valid)
    for text in dict.fromkeys(found):
        problems.add(where, text)
    return None if found else _normal(dimension, valid)


def middle(dimension: Dimension) -> Scalar:
    """A value to start from: the middle option, or the middle of a range (the geometric one of a log range)."""
    if isinstance(dimension, Fixed):
        return dimension.value
    if isinstance(dimension, Choice):
        return dimension.options[(len(dimension.options) - 1) // 2]
    low, high = dimension.low, dimension.high
    centre = math.sqrt(low * high) if dimension.log else (low + high) / 2
    return round(centre) if dimension.integer else float(f"{centre:.3g}")


def in_words(dimension: Dimension) -> str:
    """As `describe`, with a mark on ranges of whole numbers."""
    whole = isinstance(dimension, Range) and dimension.integer
    return describe(dimension) + (" (int)" if whole else "")


def _wrong_range(dimension: Range, valid: Valid) -> list[str]:
    low, high = f"{dimension.low:g}", f"{dimension.high:g}"
    if not isinstance(valid, Range):
        wanted = describe(valid) if isinstance(valid, Text) else f"chosen from {describe(valid)}"
        return [f"must be {wanted}, but got the range {low} … {high}; write a list"]
    if valid.integer and not dimension.integer:
        key = "int_log" if dimension.log else "int"
        return [f"takes whole numbers; write {{{key}: [{low}, {high}]}}"]
    return []


def _normal(dimension: Dimension, valid: Valid) -> Dimension:
    if isinstance(dimension, Range):
        return dimension
    options = tuple(in_type_of(valid, value) for value in extremes(dimension))
    return Fixed(options[0]) if len(options) == 1 else Choice(options)


def _scalar(raw: Any) -> Scalar:
    value = number(raw)
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{raw!r} is not a value; write a value, a list of values, or a range like {{log: [1e-5, 1e-3]}}")


def _parse_choice(raw: list[Any]) -> Choice:
    if not raw:
        raise ValueError("an empty list has nothing to choose from")
    options = tuple(_scalar(option) for option in raw)
    if any(same_value(a, b) for i, a in enumerate(options) for b in options[:i]):
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
