"""Values and dimensions of a study file against what makes sense for them."""

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
    as_text,
    contains,
    describe,
    extremes,
    number,
    parse_dimension,
)
from peftsearch.core.errors import nearest
from peftsearch.study.problems import Problems, Where, shown


def read_scalars(
    raw: Mapping[str, Any], valid: Mapping[str, Valid], problems: Problems, where: Where
) -> dict[str, Scalar]:
    """The values of `raw` that are valid, in the types that `valid` has; the others become problems."""
    values: dict[str, Scalar] = {}
    for key in valid:
        if key not in raw:
            continue
        value = number(raw[key])
        problem = complaint(value, valid[key])
        if problem:
            problems.add((*where, key), problem)
        else:
            values[key] = in_type_of(valid[key], value)
    return values


def read_dimension(raw: Any, valid: Valid, problems: Problems, where: Where) -> Dimension | None:
    """The dimension written as `raw` if all of it lies within `valid`; else None, and a problem for each bad value."""
    try:
        dimension = parse_dimension(raw)
    except ValueError as error:
        problems.add(where, str(error))
        return None
    found = [text for text in (complaint(value, valid) for value in extremes(dimension)) if text]
    if not found and isinstance(dimension, Range):
        found = _wrong_range(dimension, valid)
    for text in dict.fromkeys(found):
        problems.add(where, text)
    return None if found else _normal(dimension, valid)


def complaint(value: Any, valid: Valid) -> str | None:
    """Why `value` makes no sense; None if it does."""
    if isinstance(value, bool | int | float | str) and contains(valid, value):
        return None
    if isinstance(valid, Text):
        return f"must be {describe(valid)}, but got {shown(value)}"
    if isinstance(valid, Range):
        whole = "a whole number " if valid.integer else ""
        low, high = (f"{end}" if valid.integer else f"{end:g}" for end in extremes(valid))
        return f"must be {whole}within {low} … {high}, but got {shown(value)}"
    return f"got {shown(value)}; {nearest(str(value), (str(option) for option in extremes(valid)))}"


def in_type_of(valid: Valid, value: Scalar) -> Scalar:
    """A valid `value` in the type that `valid` has: 8, not 8.0, among whole numbers; elsewhere as it is written.

    Equal settings are then equal as JSON. A real number stays as written because 1 and 1.0 may mean two things (one
    frozen layer, or all of them).
    """
    if isinstance(valid, Text):
        return as_text(value)
    if isinstance(valid, Range):
        return int(value) if valid.integer else value
    return next(option for option in extremes(valid) if contains(Fixed(option), value))


def middle(dimension: Dimension) -> Scalar:
    """A point to start from: the value, the middle option, the middle of a range (geometric if it is a log range)."""
    if isinstance(dimension, Fixed):
        return dimension.value
    if isinstance(dimension, Choice):
        return dimension.options[(len(dimension.options) - 1) // 2]
    low, high = dimension.low, dimension.high
    centre = math.sqrt(low * high) if dimension.log else (low + high) / 2
    return round(centre) if dimension.integer else float(f"{centre:.3g}")


def in_words(dimension: Dimension) -> str:
    """As `describe`, saying where only whole numbers count."""
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
