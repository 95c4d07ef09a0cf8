"""The classes of rows: which values of a column are labels, and how a study drops and renames them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from numbers import Integral
from statistics import median
from typing import Any

from peftsearch.core.errors import UserError, nearest, shown
from peftsearch.data.base import LabelledRows, Table, label_text
from peftsearch.data.section import DataSection

NUMBERS = "these look like numbers: classification needs classes"
TEXTS = "these look like texts, not like classes"
IDS = "nearly every row has its own, as with an id"

Parts = dict[str, LabelledRows]

FEWEST_OF_AN_ID, SHARE_OF_AN_ID, WORDS_OF_A_TEXT = 10, 0.9, 4
"""How many values a column has at least, as a share of its rows too, to be no column of classes, and the words of a
text."""

MISSING = ("nan", "null", "none", "n/a", "na", "#n/a", "nil", "unknown", "?", "-")
"""How programs write that a value is missing. Any of these may be a class all the same."""

NO_CLASS = {
    list: "a list: a row has exactly one label (data with several labels a row is not supported)",
    tuple: "a list: a row has exactly one label (data with several labels a row is not supported)",
    dict: "a mapping: name a column with one label a row",
    float: "a number that is not whole: a label is a class (regression is not supported); put values into classes",
}
"""What kinds of values are no labels, and what to do."""


def labels_of(table: Table, section: DataSection) -> Sequence[str | None]:
    """The label of each row; None where it is missing.

    Raises:
        UserError: a value is no label: a list, a number that is not whole, an id without a name.
    """
    values = table.columns[section.label]
    named = {*section.map_labels, *section.drop_labels}
    names = table.label_names.get(section.label)
    if names is not None:
        return _of_ids(values, names, named, table.name)
    kinds = {type(value) for value in values}
    if kinds <= {str, type(None)}:
        found = [label_text(value) for value in values]
        _check_texts(found, named, section.label, table.name)
        return found
    return [_label(value, place, section.label, table.name) for place, value in enumerate(values, start=1)]


def drop_labels(parts: Parts, section: DataSection, notes: list[str]) -> Parts:
    """The rows without the classes that the study drops or that are too small.

    Raises:
        UserError: no row has a class that the study drops or renames.
    """
    counts = Counter(label for rows in parts.values() for label in rows.label)
    for key, labels in (("drop_labels", section.drop_labels), ("map_labels", section.map_labels)):
        missing = next((label for label in labels if label not in counts), None)
        if missing is not None:
            raise UserError(f"data.{key}: no class {missing!r}; {nearest(missing, counts)}")
    rare = {label for label, rows in counts.items() if rows < section.min_rows} - set(section.drop_labels)
    for leaving, why in ((set(section.drop_labels), "drop_labels"), (rare, f"min_rows: {section.min_rows}")):
        if leaving:
            dropped = sum(counts[label] for label in leaving)
            notes.append(f"dropped {count_rows(dropped)} of {', '.join(sorted(leaving))} ({why})")
    gone = {*section.drop_labels, *rare}
    return {
        name: rows.take([i for i, label in enumerate(rows.label) if label not in gone]) if gone else rows
        for name, rows in parts.items()
    }


def map_labels(parts: Parts, section: DataSection, notes: list[str]) -> Parts:
    """The rows with the classes renamed as the study says."""
    new = section.map_labels
    if new:
        changed = sum(label in new for rows in parts.values() for label in rows.label)
        notes.append(f"renamed the label of {count_rows(changed)} (map_labels)")
        parts = {name: replace(rows, label=[new.get(x, x) for x in rows.label]) for name, rows in parts.items()}
    _note_lookalikes({label for rows in parts.values() for label in rows.label}, notes)
    return parts


def other_than_classes(labels: Sequence[str]) -> str | None:
    """What the values of a column look like where nearly every row has its own; None where classes may repeat enough.

    >>> other_than_classes(["cat", "dog"] * 9), other_than_classes([str(row) for row in range(18)])
    (None, 'these look like numbers: classification needs classes')
    """
    values = set(labels)
    if len(values) < FEWEST_OF_AN_ID or len(values) < SHARE_OF_AN_ID * len(labels):
        return None
    if are_numbers(values):
        return NUMBERS
    return TEXTS if median(len(value.split()) for value in values) >= WORDS_OF_A_TEXT else IDS


def are_numbers(labels: Collection[str]) -> bool:
    """Whether all labels are whole numbers."""
    return all(re.fullmatch(r"[-+]?\d{1,15}", label, re.ASCII) for label in labels)


def count_rows(number: int) -> str:
    """A number of rows in words."""
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def _note_lookalikes(labels: Collection[str], notes: list[str]) -> None:
    alike: dict[str, list[str]] = {}
    for label in sorted(labels):
        alike.setdefault(" ".join(label.casefold().split()), []).append(label)
    for group in alike.values():
        if len(group) > 1:
            notes.append(f"classes that differ in case or spaces only: {', '.join(group)}; data.map_labels joins them")
    missing = [label for label in sorted(labels) if label.casefold() in MISSING]
    if missing:
        listed = ", ".join(missing)
        notes.append(
            f"{listed}: learned as a class, though it may mean that a label is missing; data.drop_labels drops it"
        )


def _label(value: Any, row: int, column: str, name: str) -> str | None:
    whole = isinstance(value, bool | Integral | str | None) or (isinstance(value, float) and value.is_integer())
    if whole or value != value:  # NaN is a missing value
        return label_text(value)
    kind = next((text for kind, text in NO_CLASS.items() if isinstance(value, kind)), f"a {type(value).__name__}")
    raise _no_label(shown(value), row, column, name, kind)


def _check_texts(labels: Sequence[str | None], named: Collection[str], column: str, name: str) -> None:
    """Refuse lists and fractions that were written as text. A study may name them as classes all the same."""
    distinct: dict[str, int] = {}
    for row, label in enumerate(labels, start=1):
        if label is not None:
            distinct.setdefault(label, row)
    unnamed = {label: row for label, row in distinct.items() if label not in named}
    for label, row in unnamed.items():
        if label[0] in "[({" and _is_collection(label):
            raise _no_label(shown(label), row, column, name, NO_CLASS[list])
    decimals = [label for label in distinct if re.fullmatch(r"[-+]?\d*\.\d+([eE][-+]?\d+)?", label)]
    fraction = next((label for label in decimals if label in unnamed and not float(label).is_integer()), None)
    if fraction and len(decimals) == len(distinct):
        raise _no_label(shown(fraction), distinct[fraction], column, name, NO_CLASS[float])


def _is_collection(text: str) -> bool:
    try:
        return len(text) < 10_000 and isinstance(ast.literal_eval(text), list | dict | set | tuple)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False


def _of_ids(values: Sequence[Any], names: Sequence[str], named: Collection[str], table: str) -> Sequence[str | None]:
    """The names of class ids. A split whose labels are not published has the id -1 in every row."""
    if all(value is None or value == -1 for value in values):
        return [None] * len(values)
    texts = [label_text(name) for name in names]
    return [_name(value, texts, named, row, table) for row, value in enumerate(values, start=1)]


def _name(value: Any, names: Sequence[str | None], named: Collection[str], row: int, table: str) -> str | None:
    if value is None or value != value:
        return None
    integral = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    whole = integral and not isinstance(value, bool)
    if whole and 0 <= value < len(names):
        return names[int(value)]
    if whole and str(int(value)) in named:
        return str(int(value))
    fix = f"leave such rows out with data.drop_labels: [{int(value)}]" if whole else "correct the file"
    raise UserError(
        f"data.label: {table}, row {row}: {shown(value)} is not the id of a class, 0 … {len(names) - 1}; {fix}"
    )


def _no_label(value: str, row: int, column: str, name: str, why: str) -> UserError:
    return UserError(f"data.label: column {column!r} in {name}, row {row}: {value} is {why}")
