"""Rows to label, and the texts that the classifier reads in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from peftsearch.core.errors import UserError, shown
from peftsearch.data.base import Table, whole_characters
from peftsearch.data.columns import PLACE, columns_of, texts_of

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

    def bare_columns(self) -> tuple[str, ...]:
        """The columns that a bare text or pair stands for.

        Raises:
            UserError: a text is composed of several columns.
        """
        composed = any(len(columns_of(written)) > 1 for written in self.written)
        if composed or len(self.columns) != len(self.written):
            names = ", ".join(self.columns)
            raise UserError(
                f"this classifier reads the columns {names}; give a file or, in Python, a dict with them for each row"
            )
        return self.columns

    def renamed(self, names: Sequence[str]) -> InputTexts:
        """The same texts, read in a file that has other names for the columns.

        Raises:
            UserError: there are more or fewer names than columns.
        """
        if len(names) != len(self.columns):
            columns = ", ".join(self.columns)
            raise UserError(
                f"--text-column is given {len(names)} times; give it {len(self.columns)} times, "
                f"with the file's names for the columns {columns}, in this order"
            )
        other = dict(zip(self.columns, names, strict=True))
        return replace(
            self,
            written=tuple(
                other[written] if written in other else PLACE.sub(lambda place: f"{{{other[place[1]]}}}", written)
                for written in self.written
            ),
        )

    def _by_column(self, row: str | Sequence[str]) -> Mapping[str, str]:
        """The columns of a bare text or pair, whose order is that of the columns."""
        single = len(self.written) == 1
        parts: list[Any] = [row] if single else list(row) if isinstance(row, list | tuple) else []
        if len(parts) != len(self.written) or not all(isinstance(part, str) for part in parts):
            kind = "single texts" if single else "pairs of texts"
            raise UserError(f"this classifier labels {kind}; got {shown(row)}")
        return dict(zip(self.bare_columns(), parts, strict=True))
