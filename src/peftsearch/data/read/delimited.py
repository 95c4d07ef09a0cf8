"""CSV and similar formats. The delimiter is the one by which the file has the columns that the study names."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Sequence
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.read.encoding import decode
from peftsearch.data.read.formats import Request, check_columns
from peftsearch.data.read.odd_lines import Record, read_records, swallows
from peftsearch.data.read.packing import check_is_text

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
USUAL = {".csv": ",", ".tsv": "\t"}


def read_delimited(content: bytes, name: str, request: Request) -> Table:
    """Read every value as text. An empty field counts as missing; `NA` and `null` are texts like any other.

    Raises:
        UserError: a line has more or fewer fields than the header, or two columns have one name.
    """
    check_is_text(content, name)
    text, notes = decode(content, name, request.encoding)
    if re.match(r"\s*\[?\s*\{\s*\"", text):
        raise UserError(f"data.source: {name} holds JSON; let its name end in .jsonl")
    csv.field_size_limit(sys.maxsize)  # a document may be longer than the 128 KiB that csv allows
    text, first, delimiter = find_header(text, request)
    names = first if request.header is None else list(request.header)
    check_columns(names, name)
    if request.header is not None and [field.casefold() for field in first] == [key.casefold() for key in names]:
        notes += (f"the first row of {name} names the columns too; leave data.columns out, or it is read as data",)
    rows, row_notes = _rows(text, delimiter, len(names), name, headed=request.header is None)
    usual = next((usual for suffix, usual in USUAL.items() if suffix in name.lower()), delimiter)
    if delimiter != usual:
        notes += (f"{name} separates its columns by {DELIMITERS.get(delimiter, repr(delimiter))}",)
    columns = {column: [row[i] or None for row in rows] for i, column in enumerate(names)}
    return Table(name, columns, notes=notes + row_notes)


def find_header(text: str, request: Request) -> tuple[str, list[str], str]:
    """The text from its header line on, that line's fields, and the delimiter.

    The delimiter is the one that the file itself names, else the one by which the line has the wanted columns, else the
    one by which it has the most columns.
    """
    said = re.match(r"[\r\n]*sep=(.)\r?\n", text)  # Excel's own first line
    text = (text[said.end() :] if said else text).lstrip("\r\n")
    return text, *_header(text, request, tuple(said[1]) if said else tuple(DELIMITERS))


def _header(text: str, request: Request, delimiters: Sequence[str]) -> tuple[list[str], str]:
    """The first line's fields, and the delimiter by which it has the wanted columns, or otherwise the most columns."""

    def fits(fields: Sequence[str]) -> tuple[bool, int]:
        if request.header is not None:
            return len(fields) == len(request.header), len(fields)
        return set(request.wanted) <= set(fields), len(fields)

    lines = {d: [field.strip() for field in next(_reader(text, d), [])] for d in delimiters}
    best = max(delimiters, key=lambda delimiter: fits(lines[delimiter]))
    return lines[best], best


def _rows(text: str, delimiter: str, width: int, name: str, headed: bool) -> tuple[list[list[str]], tuple[str, ...]]:
    """The rows below the header, each with `width` fields, and notes on what was unusual about them."""
    records = _by_the_rules(text, delimiter)
    if records is None:
        records, notes = read_records(text, delimiter, width, name)
    else:
        notes = _swallowed_note(records, delimiter, width, name)
    body = records[headed:]
    rows, shape_note = _without_extra_column([record.fields for record in body], width, name)
    wrong = [record.line for record, row in zip(body, rows, strict=True) if len(row) != width]
    if wrong:
        fields = next(len(row) for row in rows if len(row) != width)
        more = f" ({len(wrong) - 1:,} more such lines)" if len(wrong) > 1 else ""
        kind = DELIMITERS.get(delimiter, repr(delimiter))
        raise UserError(
            f"data.source: {name}, line {wrong[0]}: {fields} fields, but the first line has {width}{more}; "
            f"put fields that hold {kind} in quotation marks, and double those within"
        )
    return rows, notes + shape_note


def _by_the_rules(text: str, delimiter: str) -> list[Record] | None:
    """The records of a file that follows the rules of quoting throughout; None if it does not.

    A field that swallowed rows counts as a breach.
    """
    reader = _reader(text, delimiter, strict=True)
    records = []
    try:
        for row in reader:
            if swallows(row, delimiter):
                return None
            if row:
                records.append(Record(row, reader.line_num))
    except csv.Error:
        return None
    return records


def _swallowed_note(records: list[Record], delimiter: str, width: int, name: str) -> tuple[str, ...]:
    """A note on a text of which several lines would be rows of the table, as after a forgotten quotation mark."""
    for record in records:
        for field in record.fields:
            if field.count("\n") > 2 and all(line.count(delimiter) == width - 1 for line in field.split("\n")[1:-1]):
                lines = field.count("\n") - 1
                return (f"{name}, line {record.line}: a field holds {lines:,} lines like rows; check its quotes",)
    return ()


def _without_extra_column(rows: list[list[str]], width: int, name: str) -> tuple[list[list[str]], tuple[str, ...]]:
    """The rows without row names as R writes them, and without separators at the ends of lines."""
    longer = [row for row in rows if len(row) > width]
    if not longer:
        return rows, ()
    if not any(any(row[width:]) for row in longer):
        return [row[:width] for row in rows], (f"{name} has separators at the ends of lines; they are left out",)
    numbered = all(len(row) == width + 1 and row[0].isdecimal() for row in rows)
    if numbered and len({row[0] for row in rows}) == len(rows):
        return [row[1:] for row in rows], (f"{name} has row numbers, which its first line does not name; left out",)
    return rows, ()


def _reader(text: str, delimiter: str, strict: bool = False) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
