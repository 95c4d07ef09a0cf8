"""Turns a source's tables into rows of text and label. A note counts the rows that each step drops or changes."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.data.base import SPLITS, LabelledRows, Table, label_text, whole_characters
from peftsearch.data.columns import columns_of, texts_of, without_header
from peftsearch.data.labels import Parts, count_rows, drop_labels, labels_of, map_labels, other_than_classes
from peftsearch.data.overlap import keys
from peftsearch.data.section import DataSection
from peftsearch.data.splits import draw, joined, split

Notes = list[str]


def shape(tables: Mapping[str, Table], section: DataSection) -> tuple[Parts, Notes]:
    """The rows of each split that the source has, after every step before the splits are made.

    Raises:
        UserError: a column is not there or holds no text, or a split is left empty.
    """
    notes = [note for table in tables.values() for note in table.notes]
    parts = {}
    for name, table in tables.items():
        _check_columns(table, section)
        labels = labels_of(table, section)
        if labels and name != "train" and not any(labels):
            # Benchmarks publish their test split without labels; it is then made from the training rows.
            notes.append(f"{name}: has no labels, so it is made from the training rows")
            continue
        parts[name], dropped, mended = _whole_rows(table, labels, section)
        if mended:
            notes.append(f"{name}: {count_rows(mended)} with half a character or NUL, shown as \ufffd")
        notes += [f"{name}: dropped {count_rows(rows)} without {what}" for what, rows in dropped.items()]
    _check_not_empty(parts)
    for step in (drop_labels, map_labels, _strip, _sample):
        parts = step(parts, section, notes)
    return parts, notes


def _check_columns(table: Table, section: DataSection) -> None:
    if not table.columns:
        raise UserError(f"data.source: {table.name} is empty; it needs rows with a text and a label")
    for path, column in _named(section):
        if column not in table.columns:
            columns = ", ".join(textwrap.shorten(name, 40, placeholder=" …") for name in table.columns)
            header = without_header(table)
            header = f"; {header}, or name them in data.columns" if header else ""
            raise UserError(f"{path}: no column {column!r} in {table.name}; columns: {columns}{header}")


def _whole_rows(
    table: Table, labels: Sequence[str | None], section: DataSection
) -> tuple[LabelledRows, Counter[str], int]:
    """The rows with a value in every column that the study names, how many rows lack which, and how many are mended."""
    written = [texts_of(table, text) for text in section.text_columns]
    texts = [[text and whole_characters(text) for text in column] for column in written]
    mended = len({row for a, b in zip(written, texts, strict=True) for row in range(len(a)) if a[row] != b[row]})
    groups = [label_text(value) for value in table.columns[section.group]] if section.group else None
    lacks: dict[int, str] = {row: "group" for row, group in enumerate(groups or ()) if group is None}
    lacks |= {row: "label" for row, label in enumerate(labels) if label is None}
    lacks |= {row: "text" for column in texts for row, text in enumerate(column) if not (text and text.strip())}
    columns: list[Any] = [texts[0], labels, texts[1] if len(texts) == 2 else None, groups]
    whole = [row for row in range(len(labels)) if row not in lacks]
    return LabelledRows(*columns).take(whole), Counter(lacks.values()), mended


def _named(section: DataSection) -> list[tuple[str, str]]:
    group = [("data.group", section.group)] if section.group else []
    texts = [("data.text", column) for written in section.text_columns for column in columns_of(written)]
    return [*texts, ("data.label", section.label), *group]


def _strip(parts: Parts, section: DataSection, notes: Notes) -> Parts:
    if not section.strip:
        return parts
    texts = [text for rows in parts.values() for text in (*rows.text, *(rows.pair or ()))]
    notes.append(f"stripped white space off {sum(text != text.strip() for text in texts):,} texts")
    return {
        name: replace(rows, text=[*map(str.strip, rows.text)], pair=rows.pair and [*map(str.strip, rows.pair)])
        for name, rows in parts.items()
    }


def _sample(parts: Parts, section: DataSection, notes: Notes) -> Parts:
    if section.sample == 1:
        return parts
    sizes = {name: max(1, round(section.sample * len(rows))) for name, rows in parts.items()}
    kept = {name: rows.take(draw(rows.label, sizes[name], section.splits.seed)) for name, rows in parts.items()}
    notes += [f"{name}: sampled {len(rows):,} of {len(parts[name]):,} rows" for name, rows in kept.items()]
    return kept


def complete(parts: Parts, section: DataSection, notes: Notes) -> Parts:
    """All three splits. Those that the source lacks are taken from its training rows.

    Raises:
        UserError: a class is too small, or a group stands in two splits of the source.
    """
    shares = {name: getattr(section.splits, name) for name in SPLITS[1:] if name not in parts}
    if shares:
        rows = parts["train"]
        if like := other_than_classes(rows.label):
            raise UserError(
                f"data.label: {len(set(rows.label)):,} values of {section.label!r} in {count_rows(len(rows))}: {like}; "
                "name the column of the classes"
            )
        texts = keys(rows)
        repeated = len(rows) - len(set(texts))
        if repeated:
            notes.append(f"{count_rows(repeated)} repeated; equal texts stay together in one split")
        groups = texts if rows.group is None else joined(texts, rows.group)
        made = split(rows.label, groups, shares, section.splits.seed)
        parts = {**parts, **{name: rows.take(indices) for name, indices in made.items()}}
        sizes = ", ".join(f"{name} {len(parts[name]):,}" for name in made)
        notes.append(f"made {' and '.join(shares)} from train: {sizes} (stratified, seed {section.splits.seed})")
        notes += _classes_in_few_splits(rows.label, {name: parts[name].label for name in made})
    _check_not_empty(parts)
    _check_groups(parts, section)
    return {name: parts[name] for name in SPLITS}


def _classes_in_few_splits(labels: Sequence[str], made: Mapping[str, Sequence[str]]) -> list[str]:
    """A note about the classes that had too few rows for all of the splits that were made.

    Raises:
        UserError: no class had enough.
    """
    counts = Counter(labels)
    lacking = {label: [name for name in made if label not in set(made[name])] for label in sorted(counts)}
    few = [
        f"{label} ({count_rows(counts[label])}, none in {' and '.join(names)})"
        for label, names in lacking.items()
        if names
    ]
    if counts and len(few) == len(counts):
        raise UserError(
            f"data.splits: no class has a row for each of {', '.join(made)}: {', '.join(few[:3])}; "
            "add rows, or name a file for each split in data.source"
        )
    others = f", and {len(few) - 3} more" if len(few) > 3 else ""
    told = "such classes can hardly be learned or measured; add rows, or leave them out with data.min_rows: 10"
    return [f"too few rows for every split: {', '.join(few[:3])}{others}: {told}"] if few else []


def limit(parts: Parts, section: DataSection, notes: Notes) -> Parts:
    """Draw at most as many rows of each split as the study allows.

    Raises:
        UserError: fewer training rows than classes.
    """
    limited = dict(parts)
    for name, size in section.limit:
        if size is None or size >= len(parts[name]):
            continue
        classes = len(set(parts["train"].label))
        if name == "train" and size < classes:
            raise UserError(f"data.limit.train: {size} rows are too few for {classes} classes")
        limited[name] = parts[name].take(draw(parts[name].label, size, section.splits.seed))
        notes.append(f"{name}: limited to {size:,} of {len(parts[name]):,} rows")
    return limited


def _check_not_empty(parts: Parts) -> None:
    empty = [name for name, rows in parts.items() if not rows]
    if empty:
        raise UserError(f"data.source: the {empty[0]} split is empty; it needs rows with a text and a label")


def _check_groups(parts: Parts, section: DataSection) -> None:
    for a, b in combinations(SPLITS, 2):
        common = set(parts[a].group or ()) & set(parts[b].group or ())
        if common:
            raise UserError(
                f"data.group: {len(common):,} values of {section.group!r} stand in both {a} and {b}, such as "
                f"{min(common)!r}; name one file only, so that the splits are made by group"
            )
