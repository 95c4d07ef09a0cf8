"""A text is one column, written `text`, or is composed of several columns, written `{title} {body}`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table, label_text

PLACE = re.compile(r"\{([^{}]+)\}")


def columns_of(written: str) -> tuple[str, ...]:
    """The columns of which a text is composed.

    >>> columns_of("{title}. {body}"), columns_of("text")
    (('title', 'body'), ('text',))
    """
    return tuple(dict.fromkeys(PLACE.findall(written))) or (written,)


def texts_of(table: Table, written: str) -> list[str | None]:
    """Each row's text, from one column or composed of several; None where all of its columns are empty.

    Training and prediction both make their texts here.

    Raises:
        UserError: a column holds something other than text and numbers.
    """
    return [_text(value, written, table.name) for value in _compose(table, written)]


def _compose(table: Table, written: str) -> Sequence[Any]:
    if not PLACE.search(written):
        return table.columns[written]
    names = columns_of(written)
    rows = zip(*(table.columns[name] for name in names), strict=True)
    return [_filled(written, dict(zip(names, map(label_text, row), strict=True))) for row in rows]


def _filled(written: str, values: dict[str, str | None]) -> str | None:
    if not any(values.values()):
        return None
    return PLACE.sub(lambda place: values[place[1]] or "", written).strip()


def _text(value: object, column: str, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return label_text(value)
    raise UserError(f"data.text: column {column!r} in {name} holds a {type(value).__name__}, not text")
