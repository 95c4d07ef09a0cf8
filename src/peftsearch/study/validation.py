"""Sections of a study file through pydantic, whose errors become problems in a study file's words."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from peftsearch.core.config import SEARCHABLE_TRAINING
from peftsearch.core.errors import shown
from peftsearch.study.mistakes.keys import where_it_belongs
from peftsearch.study.mistakes.problems import Problems, Where

T = TypeVar("T")

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument", "invalid_key")
"""Pydantic's error types for a key that a model or a dataclass has no field for."""

REQUIREMENTS = {
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type"), "must be a mapping"),
}
"""Pydantic's error type → the requirement in plain words. Errors of other types keep pydantic's message."""


def validated(kind: type[T], raw: Any, problems: Problems, where: Where) -> T | None:
    """`raw` as a `kind`; None if it is not valid.

    Args:
        kind: a pydantic model, or a dataclass whose fields say in their annotations which values are valid.
        problems: gets one problem for each thing that is wrong.
        where: the place of `raw` in the file.
    """
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        _report(error, kind, raw, problems, where)
    return None


def _report(error: ValidationError, kind: type, raw: Any, problems: Problems, where: Where) -> None:
    branches: dict[Where, list[ErrorDetails]] = {}  # of a union of types pydantic reports each that did not fit
    for item in error.errors(include_url=False):
        place, _ = _existing(raw, item["loc"])
        if item["type"] in UNKNOWN_KEY:
            key = str(place[-1])
            told = where_it_belongs(key, _fields(kind, place[:-1]), (*where, *place[:-1]))
            problems.add((*where, *place), f"unknown key {key!r}; {told}")
        elif item["type"] == "missing":
            problems.add((*where, *place, item["loc"][-1]), "is missing")
        elif item["type"] == "value_error":  # a message of ours, which names the value itself
            problems.add((*where, *place), f"{item['ctx']['error']}{_searched(place, _existing(raw, place)[1])}")
        else:
            branches.setdefault(place, []).append(item)
    for place, items in branches.items():
        value = _existing(raw, place)[1]
        problems.add((*where, *place), f"{_requirement(items)}, but got {shown(value)}{_remedy(items, value)}")


def _searched(place: Where, value: Any) -> str:
    """Where to write a space of values, if it stands where one value for all methods is expected."""
    if not isinstance(value, list | Mapping) or len(place) != 1 or place[0] not in SEARCHABLE_TRAINING:
        return ""
    return f"; a method can search it, as in methods: {{lora: {{{place[0]}: …}}}}"


def _existing(raw: Any, loc: Where) -> tuple[Where, Any]:
    """The part of pydantic's `loc` that stands in the file (it adds the names of types), and the value there."""
    for i, part in enumerate(loc):
        inside = part in raw if isinstance(raw, Mapping) else isinstance(raw, list) and isinstance(part, int)
        if not inside:
            return loc[:i], raw
        raw = raw[part]
    return loc, raw


def _requirement(branches: list[ErrorDetails]) -> str:
    first, *others = dict.fromkeys(
        REQUIREMENTS.get(item["type"]) or item["msg"].replace("Input should be", "must be") for item in branches
    )
    return " or ".join([first, *(other.removeprefix("must be ") for other in others)])


def _remedy(branches: list[ErrorDetails], value: Any) -> str:
    kinds = {item["type"] for item in branches}
    if kinds & {"list_type", "tuple_type"} and isinstance(value, str):
        return f"; write [{value}]"
    return "; quote it" if "string_type" in kinds and isinstance(value, int | float) else ""


def _fields(kind: Any, place: Where) -> Iterable[str]:
    """The field names of the class that validates what stands at `place` inside a `kind`."""
    for part in place:
        annotation = typing.get_type_hints(kind)[str(part)]
        options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        kind = next(option for option in options if is_dataclass(option) or issubclass(option, BaseModel))
    return [field.name for field in fields(kind)] if is_dataclass(kind) else kind.model_fields
