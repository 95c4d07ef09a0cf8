"""Problems found in a study file: collected, and shown all at once.

A message has one line a problem, `FILE: PATH.IN.FILE: what is wrong, the value, the nearest valid name`, as compilers
write them: a file with one problem gives a one-line message, and each line stands on its own.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from peftsearch.core.errors import UserError, nearest

Where = tuple[str | int, ...]
"""A place in the file: the keys and list positions that lead there."""


def show_path(where: Where) -> str:
    """A place as the messages write it.

    >>> show_path(("baselines", 0, "rank"))
    'baselines[0].rank'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


def shown(value: Any) -> str:
    """A value of the file in one short piece."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class Problems:
    """The problems and warnings of one study file, in the order found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []
        self.warnings: list[str] = []

    def add(self, where: Where, text: str) -> None:
        self.found.append(self._line(where, text))

    def warn(self, where: Where, text: str) -> None:
        self.warnings.append(self._line(where, text))

    def unknown_keys(self, raw: Mapping[Any, Any], valid: Iterable[str], where: Where) -> None:
        """One problem for every key of `raw` that is not in `valid`."""
        names = list(valid)
        for key in raw:
            if key not in names:
                self.add((*where, str(key)), f"unknown key {key!r}; {nearest(str(key), names)}")

    def add_validation(self, error: ValidationError, model: type[BaseModel], raw: Any, where: Where) -> None:
        """What pydantic found wrong with `raw`; the branches of a union that all failed become one problem."""
        wanted: dict[Where, list[str]] = {}
        values: dict[Where, Any] = {}
        for item in error.errors(include_url=False):
            loc, value = _existing(raw, item["loc"])
            if item["type"] == "extra_forbidden":
                key = str(loc[-1])
                self.add((*where, *loc), f"unknown key {key!r}; {nearest(key, _fields(model, loc[:-1]))}")
            elif item["type"] == "missing":
                self.add((*where, *loc, item["loc"][-1]), "is missing")
            else:
                wanted.setdefault(loc, []).append(_requirement(item["msg"]))
                values[loc] = value
        for loc, requirements in wanted.items():
            self.add((*where, *loc), f"{_either(requirements)}, but got {shown(values[loc])}")

    def raise_if_any(self) -> None:
        """Raises: UserError: with every problem found so far."""
        if self.found:
            raise UserError("\n".join(self.found))

    def _line(self, where: Where, text: str) -> str:
        return ": ".join(part for part in (self.file, show_path(where), text) if part)


def _existing(raw: Any, loc: Where) -> tuple[Where, Any]:
    """The part of pydantic's `loc` that stands in the file (it adds the names of types), and the value there."""
    for i, part in enumerate(loc):
        inside = part in raw if isinstance(raw, Mapping) else isinstance(raw, list) and isinstance(part, int)
        if not inside:
            return loc[:i], raw
        raw = raw[part]
    return loc, raw


def _requirement(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


def _either(requirements: list[str]) -> str:
    first, *others = dict.fromkeys(requirements)
    return " or ".join([first, *(other.removeprefix("must be ") for other in others)])


def _fields(model: type[BaseModel], loc: Where) -> Iterable[str]:
    """The field names of the model that stands at `loc` inside `model`."""
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        model = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return model.model_fields
