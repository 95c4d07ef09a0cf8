"""Fills the templates of scripts: `<<name>>` within a line is a value, and alone on a line it is lines of code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import indent

PLACE = re.compile(r"^(?P<indent> *)<<(?P<lines>\w+)>>\n|<<(?P<value>\w+)>>", re.MULTILINE)


def filled(template: str, pieces: Mapping[str, str]) -> str:
    """The template with each place filled; lines of code are indented as their place is, and empty ones leave none.

    >>> filled("def f():\\n    <<body>>\\n    <<more>>\\n    return <<value>>\\n", {"body": "a = 1\\nb = 2", "more": "",
    ...        "value": "a"})
    'def f():\\n    a = 1\\n    b = 2\\n    return a\\n'

    Raises:
        KeyError: a place has no piece.
    """

    def piece(place: re.Match[str]) -> str:
        if place["value"]:
            return pieces[place["value"]]
        code = pieces[place["lines"]].rstrip("\n")
        return "".join(f"{place['indent']}{line}".rstrip() + "\n" for line in code.split("\n")) if code else ""

    return PLACE.sub(piece, template)  # in one pass, since a piece may quote what the data calls its classes


def code_of(value: object, room: int = 90) -> str:
    """A value as Python code, with double quotes, and over several lines if it is longer than `room` characters.

    >>> code_of(("a", 1.5))
    '("a", 1.5)'
    """
    if isinstance(value, str):
        plain = value.isprintable() and not set(value) & set('"\\\\')
        return f'"{value}"' if plain else repr(value)
    if isinstance(value, Mapping):
        return enclosed("{", [f"{code_of(key)}: {code_of(item)}" for key, item in value.items()], "}", room)
    if isinstance(value, list):
        return enclosed("[", [code_of(item) for item in value], "]", room)
    if isinstance(value, tuple):
        return f"({code_of(value[0])},)" if len(value) == 1 else enclosed("(", list(map(code_of, value)), ")", room)
    return repr(value)


def enclosed(first: str, items: Sequence[str], last: str, room: int = 90) -> str:
    """Items between brackets, on one line if there is room, else each on its own."""
    line = f"{first}{', '.join(items)}{last}"
    if len(line) <= room and "\n" not in line:
        return line
    return "\n".join([first, *(indent(f"{item},", "    ") for item in items), last])


def prefixes(chosen: frozenset[str], every: Sequence[str]) -> tuple[str, ...]:
    """The shortest beginnings of dotted names that all `chosen` ones have, and none of the others of `every`.

    >>> prefixes(frozenset({"a.x.w", "a.y.w", "b.w"}), ["a.x.w", "a.y.w", "b.w", "b.v"])
    ('a.', 'b.w')
    """
    others, found = [name for name in every if name not in chosen], list[str]()
    for name in every:
        if name not in chosen or name.startswith(tuple(found)):
            continue
        parts = name.split(".")
        starts = [".".join(parts[:depth]) + "." for depth in range(1, len(parts))]
        found.append(next((s for s in starts if not any(other.startswith(s) for other in others)), name))
    return tuple(found)
