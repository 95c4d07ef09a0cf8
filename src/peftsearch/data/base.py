"""The types of this package: prepared data, and the tables and rows that it is made of."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TextData:
    """Labelled text in three disjoint splits.

    Attributes:
        labels: the class names; a row's label is an index into them.
        splits: train, validation and test, with the columns `text`, `pair` (only for pairs of texts) and `label`.
        fingerprint: a hash of the labels and every row; two data sets are equal exactly when their fingerprints are.
        notes: what the preparation found and changed, a sentence each.
    """

    labels: tuple[str, ...]
    splits: Mapping[str, Dataset]
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def pair(self) -> bool:
        """Whether a row is a pair of texts."""
        return "pair" in self.splits["train"].column_names


def documents(rows: Dataset) -> list[str]:
    """Each row of a split as one text; the two texts of a pair are joined by a space."""
    if "pair" not in rows.column_names:
        return list(rows["text"])
    return [f"{a} {b}" for a, b in zip(rows["text"], rows["pair"], strict=True)]


@dataclass(frozen=True)
class Table:
    """One split as its source holds it.

    Attributes:
        name: what messages call it, such as a file's name.
        columns: the values by column; all columns have the same length.
        label_names: the class names of each column that holds class ids, by column.
        notes: what reading the source found, a sentence each.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelledRows:
    """The rows of one split while they are shaped: lists of the same length, or None for a column the study lacks."""

    text: Sequence[str]
    label: Sequence[str]
    pair: Sequence[str] | None = None
    group: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.text)

    def take(self, indices: Sequence[int]) -> Self:
        """The rows at `indices`, in that order."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {name: [values[i] for i in indices] for name, values in columns.items() if values is not None}
        return replace(self, **kept)


def label_text(value: object) -> str | None:
    """A label as text, the same from every file format and in every Unicode form; None if it is missing.

    >>> label_text(1.0), label_text(" Good "), label_text("")
    ('1', 'Good', None)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with a gap in it is read as floats
    return unicodedata.normalize("NFC", whole_characters(str(value))).strip() or None


def whole_characters(text: str) -> str:
    """A text without NUL and without half of a pair of UTF-16, as a cut emoji leaves it: no file can hold these.

    >>> whole_characters("good \\ud83d"), whole_characters("fine")
    ('good \ufffd', 'fine')
    """
    return text if text.isascii() and "\0" not in text else re.sub("[\0\ud800-\udfff]", "\ufffd", text)
