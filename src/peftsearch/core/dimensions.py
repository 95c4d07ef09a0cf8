"""Dimensions of a search space: a fixed value, a choice, or a range of numbers; and which values are valid for one."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Any

from peftsearch.core.errors import nearest, shown

Scalar = bool | int | float | str


class _Annotation:
    """A dimension as the annotation of a field, `Annotated[int, Range(1, 9, integer=True)]`: pydantic obeys it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(functools.partial(checked, self))  # type: ignore[arg-type]

    def __get_pydantic_json_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """The valid values in the words of JSON Schema, from which the reference of the study file is written."""
        return json_schema(self)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Fixed:
    """One value: nothing to search."""

    value: Scalar


@dataclass(frozen=True)
class Choice(_Annotation):
    """One of several values, in the order written."""

    options: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range(_Annotation):
    """Numbers from `low` to `high`, both included; whole numbers if `integer`, sampled on a log scale if `log`."""

    low: float
    high: float
    log: bool = False
    integer: bool = False


@dataclass(frozen=True)
class Text:
    """Valid are all texts that `pattern` matches as a whole, such as `example`."""

    pattern: str
    example: str


Dimension = Fixed | Choice | Range
Valid = Dimension | Text


def number(value: Any) -> Any:
    """`value`, or the number that it spells: YAML 1.1 reads `1e-5` as text."""
    if not isinstance(value, str):
        return value
    try:
        parsed = float(value)
    except ValueError:
        return value
    return parsed if math.isfinite(parsed) else value


def contains(dimension: Valid, value: Scalar) -> bool:
    """Whether `value` could be drawn from `dimension`. `True` is no number and `8.0` is no whole number's text."""
    if isinstance(dimension, Text):
        return not isinstance(value, bool) and re.fullmatch(dimension.pattern, as_text(value)) is not None
    if isinstance(dimension, Fixed):
        return same_value(dimension.value, value)
    if isinstance(dimension, Choice):
        return any(same_value(option, value) for option in dimension.options)
    if isinstance(value, bool | str):
        return False
    whole = not dimension.integer or float(value).is_integer()
    return whole and dimension.low <= value <= dimension.high


def checked(valid: Valid, raw: Any) -> Scalar:
    """The value that a study file writes as `raw`, in the type that `valid` has.

    >>> checked(Range(1, 64, integer=True), "1e1")
    10

    Raises:
        ValueError: the value is not valid.
    """
    value = number(raw)
    problem = complaint(valid, value)
    if problem:
        raise ValueError(problem)
    return in_type_of(valid, value)


def complaint(valid: Valid, value: Any) -> str | None:
    """Why `value` is not valid, and what would be; None if it is."""
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


def as_text(value: Scalar) -> str:
    """The text that a study file holds, where YAML has read `8` as a number."""
    return value if isinstance(value, str) else f"{value:g}"


def extremes(dimension: Dimension) -> tuple[Scalar, ...]:
    """The ends of a range, all options of a choice, or the fixed value: if they are valid, all of `dimension` is."""
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


def json_schema(dimension: Choice | Range) -> dict[str, Any]:
    """What JSON Schema says of the values that lie within `dimension`.

    >>> json_schema(Range(1, 9, integer=True))
    {'type': 'integer', 'minimum': 1, 'maximum': 9}
    """
    if isinstance(dimension, Choice):
        return {"enum": list(dimension.options)}
    low, high = extremes(dimension)
    return {"type": "integer" if dimension.integer else "number", "minimum": low, "maximum": high}


def same_value(a: Scalar, b: Scalar) -> bool:
    """Whether two values are equal; `True` and 1 are not."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b
