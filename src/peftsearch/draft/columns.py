"""Guesses which columns of a table hold the text and the class, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from peftsearch.core.errors import UserError, shown
from peftsearch.data.base import Table, label_text, whole_characters
from peftsearch.data.columns import PLACE

TEXT_NAMES = (
    *("text", "texts", "sentence", "review", "review_text", "body", "content", "message", "comment", "tweet"),
    *("question", "utterance", "document", "article", "description", "headline", "title", "abstract", "post", "query"),
)
"""Usual names of a column of texts, the most usual first."""

LABEL_NAMES = (
    *("label", "labels", "class", "category", "target", "sentiment", "stars", "rating", "topic", "intent", "emotion"),
    *("tag", "y", "label_name", "label_text", "class_name", "type", "polarity", "section", "genre"),
)
"""Usual names of a column of classes, the most usual first."""

MOST_CLASSES = 200
"""A column with more values is not taken for the classes, unless its name says that it is."""

LEAST_CHARACTERS = 8
"""A column whose median is shorter is not taken for the texts, unless its name says that it is."""


@dataclass(frozen=True)
class Column:
    """A column that the study will read.

    Attributes:
        name: the column.
        why: why it was taken, a phrase.
    """

    name: str
    why: str


def text_column(table: Table, taken: Sequence[str]) -> Column:
    """The column that holds the texts.

    Args:
        taken: columns that hold something else.

    Raises:
        UserError: no column looks like it.
    """
    columns = {
        name: texts
        for name, values in table.columns.items()
        if name not in taken and (texts := [value for value in values if isinstance(value, str)])
        and 2 * len(texts) > sum(value is not None for value in values)
    }  # fmt: skip
    named = _usual(list(columns), TEXT_NAMES)
    if named is not None:
        return Column(named, "its name is usual for texts")
    # Addresses and keys are long too, but have no spaces.
    spaced = {name: texts for name, texts in columns.items() if 2 * sum(" " in t.strip() for t in texts) > len(texts)}
    lengths = {name: median(map(len, texts)) for name, texts in (spaced or columns).items()}
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    if longest is None or lengths[longest] < LEAST_CHARACTERS:
        raise UserError(f"no column of {table.name} looks like texts; name it with --text; columns: {_names(table)}")
    return Column(longest, f"its texts are the longest, {lengths[longest]:,.0f} characters in the median")


def label_column(table: Table, taken: Sequence[str]) -> Column:
    """The column that holds the classes.

    Args:
        taken: columns that hold something else.

    Raises:
        UserError: no column looks like it, or several do.
    """
    others = [name for name in table.columns if name not in taken]
    named = _usual(others, LABEL_NAMES)
    if named is not None:
        return Column(named, "its name is usual for classes")
    counts = {name: count for name in others if (count := _values(table.columns[name]))}
    if not counts:
        raise UserError(f"no column of {table.name} looks like classes; name it with --label; columns: {_names(table)}")
    if len(counts) > 1:
        found = ", ".join(f"{shown(name)} ({count:,} values)" for name, count in counts.items())
        raise UserError(f"several columns of {table.name} could be the classes; name one with --label: {found}")
    name, count = next(iter(counts.items()))
    return Column(name, f"no other column has few values; it has {count:,}")


def check_name(table: Table, name: str, option: str) -> None:
    """Check that a study file can name the column `name` of `table`.

    Raises:
        UserError: there is no such column, or its name would mean something else there.
    """
    if name not in table.columns:
        raise UserError(f"{option}: no column {shown(name)} in {table.name}; columns: {_names(table)}")
    if PLACE.search(name) or whole_characters(name) != name or not name.strip():
        raise UserError(f"{option}: a study file cannot name the column {shown(name)}; rename it in {table.name}")


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    plain = {name.strip().casefold(): name for name in reversed(names)}
    return next((plain[name] for name in usual if name in plain), None)


def _values(values: Sequence[Any]) -> int:
    """The number of classes that a column could hold; 0 if it holds none."""
    if any(isinstance(value, list | dict | tuple) for value in values):
        return 0
    found = {label_text(value) for value in values} - {None}
    return len(found) if 2 <= len(found) <= min(MOST_CLASSES, len(values) / 3) else 0


def _names(table: Table) -> str:
    return ", ".join(shown(name) for name in table.columns)
