"""Rows to label, from Python, the command line or a file, and the texts that the classifier reads in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftsearch.core.errors import UserError, shown
from peftsearch.data.base import Table, whole_characters
from peftsearch.data.columns import columns_of, texts_of
from peftsearch.data.read.encoding import decode
from peftsearch.data.read.files import Location, read_location
from peftsearch.data.read.formats import Request

Row = str | tuple[str, str] | Mapping[str, Any]
"""A text, a pair of texts, or the values of a row's columns by name."""


@dataclass(frozen=True)
class InputTexts:
    """What a classifier reads in a row, as in training.

    Attributes:
        written: the column that holds the text, or what it is composed of (`{title} {body}`); two of these for pairs.
        strip: whether white space is taken off both ends of a text.
    """

    written: tuple[str, ...]
    strip: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row that are read, each once."""
        return tuple(dict.fromkeys(name for written in self.written for name in columns_of(written)))

    def of(self, row: Row) -> tuple[str, ...]:
        """The text of a row, or the two texts of a pair.

        Raises:
            UserError: the row is not of the kind that the classifier labels, lacks a column or holds no text.
        """
        values = row if isinstance(row, Mapping) else self._by_column(row)
        return tuple(self._text(values, written) for written in self.written)

    def of_full(self, row: Row, place: int) -> tuple[str, ...]:
        """As `of`, where each text has to say something.

        Args:
            place: which of the rows it is, counted from 1.

        Raises:
            UserError: as `of`, or a text is blank.
        """
        texts = self.of(row)
        if not all(text.strip() for text in texts):
            raise UserError(f"text {place} is blank; leave it out")
        return texts

    def shown(self, row: Row) -> str | tuple[str, ...]:
        """The row as answers name it: as it was given, or the text that is read in a row of a file."""
        if not isinstance(row, Mapping):
            return row
        texts = self.of(row)
        return texts[0] if len(texts) == 1 else texts

    def _text(self, values: Mapping[str, Any], written: str) -> str:
        missing = [name for name in columns_of(written) if name not in values]
        if missing:
            raise UserError(f"no column {missing[0]!r}; columns: {', '.join(map(str, values))}")
        table = Table("the row", {name: [values[name]] for name in columns_of(written)})
        text = whole_characters(texts_of(table, written)[0] or "")
        return text.strip() if self.strip else text

    def _by_column(self, row: str | Sequence[str]) -> Mapping[str, str]:
        """The columns of a bare text or pair, whose order is that of the columns."""
        single = len(self.written) == 1
        parts: list[Any] = [row] if single else list(row) if isinstance(row, list | tuple) else []
        if len(parts) != len(self.written) or not all(isinstance(part, str) for part in parts):
            kind = "single texts" if single else "pairs of texts"
            raise UserError(f"this classifier labels {kind}; got {shown(row)}")
        composed = next((written for written in self.written if len(columns_of(written)) > 1), None)
        if composed or len(self.columns) != len(parts):
            names = ", ".join(self.columns)
            raise UserError(
                f"this classifier reads the columns {names}; give a file or, in Python, a dict with them for each row"
            )
        return dict(zip(self.columns, parts, strict=True))


def read_input(file: Path, inputs: InputTexts) -> tuple[list[Row], tuple[str, ...]]:
    """Read the lines of a `.txt` file, or the rows of any other format that a study's data can have.

    Args:
        file: the file. A `.txt` file holds pairs as two texts with a tab between them.
        inputs: what the classifier reads in a row.

    Returns:
        The rows in the order of the file, and notes on how it was read, such as an encoding that was guessed.

    Raises:
        UserError: there is no such file, it cannot be read, a column is missing, or a text is blank.
    """
    if not file.is_file():
        raise UserError(f"--file {file}: no such file")
    lines = file.suffix.lower() == ".txt"
    rows, notes = _lines(file, len(inputs.written)) if lines else _rows(file, inputs.columns)
    for place, row in enumerate(rows, start=1):
        if not all(text.strip() for text in inputs.of(row)):
            raise UserError(f"--file {file}: row {place} has a blank text; fill it or delete the row")
    return rows, notes


def _lines(file: Path, count: int) -> tuple[list[Row], tuple[str, ...]]:
    text, notes = decode(file.read_bytes(), file.name)
    # A line ends where editors end it: `splitlines` would also break a text at U+2028, a form feed and others.
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    if count == 1:
        return list(lines), notes
    pairs = [line.split("\t") for line in lines]
    odd = next((place for place, pair in enumerate(pairs, start=1) if len(pair) != count), None)
    if odd:
        raise UserError(f"--file {file}: line {odd} is not a pair; write two texts with a tab between them")
    return [(first, second) for first, second in pairs], notes


def _rows(file: Path, columns: Sequence[str]) -> tuple[list[Row], tuple[str, ...]]:
    table = read_location(Location(str(file)), Request(tuple(columns)))
    for column in columns:
        if column not in table.columns:
            raise UserError(f"--file {file}: no column {column!r}; columns: {', '.join(table.columns)}")
    rows = zip(*(table.columns[name] for name in columns), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows], table.notes
