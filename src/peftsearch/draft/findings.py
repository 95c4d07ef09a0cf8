"""What a person should know about the rows of a file before anything is trained on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from peftsearch.core.errors import UserError, shown
from peftsearch.data.base import LabelledRows
from peftsearch.data.labels import NUMBERS, are_numbers, count_rows, other_than_classes
from peftsearch.data.overlap import keys

NEEDED = 3
"""The fewest different texts of a class: one each to train on, to choose by, and to measure on."""

FEW = 10
"""A class with fewer rows is warned about: its score on the validation rows rests on one or two of them."""

MOST_LEFT_OUT = 20
"""If more classes than this are too small, the column is not one of classes."""

MOST_NUMBERS = 20
"""Whole numbers with more values than this look like quantities."""


@dataclass(frozen=True)
class Classes:
    """The classes of the rows.

    Attributes:
        counts: class → its number of rows.
        too_small: classes with fewer than `NEEDED` different texts, which the study leaves out.
    """

    counts: Mapping[str, int]
    too_small: tuple[str, ...]

    @property
    def rows(self) -> int:
        """The number of rows of the classes that the study keeps."""
        return sum(rows for label, rows in self.counts.items() if label not in self.too_small)


def classes_of(rows: LabelledRows, column: str, file: str) -> Classes:
    """Count the classes.

    Raises:
        UserError: fewer than two classes can be learned from these rows.
    """
    counts = Counter(rows.label)
    texts: dict[str, set[object]] = defaultdict(set)
    for label, key in zip(rows.label, keys(rows), strict=True):
        texts[label].add(key)
    small = tuple(sorted(label for label, found in texts.items() if len(found) < NEEDED))
    if len(counts) == 1:
        only = next(iter(counts))
        raise UserError(
            f"every row of {file} has {shown(only)} in {shown(column)}: a classifier needs two classes; "
            "name another column with --label"
        )
    if len(small) > MOST_LEFT_OUT or len(counts) - len(small) < 2:
        like = NUMBERS if are_numbers(counts) else other_than_classes(rows.label)
        raise UserError(
            f"{len(small):,} of the {len(counts):,} values of {shown(column)} in {file} stand with fewer than "
            f"{NEEDED} different texts; {f'{like}; ' if like else ''}name another column with --label"
        )
    return Classes(dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), small)


def warnings_of(rows: LabelledRows, classes: Classes, column: str) -> Iterator[str]:
    """A line for each thing that a person should look at."""
    if are_numbers(classes.counts):
        values = sorted(map(int, classes.counts))
        if len(values) > MOST_NUMBERS:
            yield (
                f"the {len(values):,} labels in {shown(column)} look like numbers: classification needs classes; "
                "sort them into a few, or name another column with --label"
            )
        else:
            yield f"the labels are numbers, {values[0]} to {values[-1]}: they are learned as classes without an order"
    if classes.too_small:
        names = ", ".join(map(shown, classes.too_small))
        yield f"classes with fewer than {NEEDED} different texts are left out (drop_labels): {names}"
    few = [f"{shown(label)} ({rows})" for label, rows in _few(classes)]
    if few:
        listed = ", ".join(few[:10]) + (f" and {len(few) - 10:,} more" if len(few) > 10 else "")
        yield f"few rows to learn a class from, fewer than {FEW}: {listed}"
    yield from _repeated(rows)


def _few(classes: Classes) -> Iterator[tuple[str, int]]:
    return ((x, rows) for x, rows in classes.counts.items() if rows < FEW and x not in classes.too_small)


def _repeated(rows: LabelledRows) -> Iterator[str]:
    found: dict[object, Counter[str]] = defaultdict(Counter)
    for label, key in zip(rows.label, keys(rows), strict=True):
        found[key][label] += 1
    repeated = len(rows) - len(found)
    if repeated:
        repeat = "repeats" if repeated == 1 else "repeat"
        yield f"{count_rows(repeated)} {repeat} an earlier text; equal texts stay together in one split"
    mixed = sum(labels.total() for labels in found.values() if len(labels) > 1)
    if mixed:
        yield f"{count_rows(mixed)} have a text that stands with several classes: no classifier gets all of them right"
