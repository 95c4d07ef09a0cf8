"""A text is one column, written `text`, or is composed of several columns, written `{title} {body}`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from statistics import median
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table, label_text

ROWS_LOOKED_AT = 1000
"""Rows by which a table without names is told."""

WORDS = 4
"""Words of a text at least, where hardly any name of a column has as many."""

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


def without_header(table: Table) -> str | None:
    """Why the first row of a file, which should name its columns, looks like a row of data; None where it does not.

    A name that stands among the values of its own column, and one that is as long as its texts, are no names.
    """
    like = [name for name, values in table.columns.items() if _is_like_its_values(name, values)]
    if not like or list(table.columns) == [str(place) for place in range(len(table.columns))]:
        return None  # pandas numbers columns that have no names
    row = textwrap.shorten(", ".join(table.columns), 60, placeholder=" …")
    return (
        f"the first row of {table.name} ({row}) looks like texts and not like names; write the columns' names above it"
    )


def _is_like_its_values(name: str, values: Sequence[Any]) -> bool:
    texts = [text for text in map(label_text, values[:ROWS_LOOKED_AT]) if text is not None]
    if not name.strip() or not texts:
        return False
    question = name.rstrip().endswith(("?", ":"))  # surveys have such names
    return name in texts or (not question and len(name.split()) >= WORDS <= median(len(text.split()) for text in texts))
