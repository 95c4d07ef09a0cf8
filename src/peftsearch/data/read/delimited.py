"""CSV and similar formats. The delimiter is the one by which the file has the columns that the study names."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.read.formats import Request, decode

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
USUAL = {".csv": ",", ".tsv": "\t"}


def read_delimited(content: bytes, name: str, request: Request) -> Table:
    """Read every value as text. An empty field counts as missing; `NA` and `null` are texts like any other.

    Raises:
        UserError: a line has more or fewer fields than the header.
    """
    text, notes = decode(content, name)
    text = text.lstrip("\r\n")
    csv.field_size_limit(sys.maxsize)  # a document may be longer than the 128 KiB that csv allows
    first, delimiter = _header(text, request)
    body, quoting_notes = _body(text, delimiter, len(first), name)
    names = first if request.header is None else list(request.header)
    rows = body[1:] if request.header is None else body
    usual = next((usual for suffix, usual in USUAL.items() if suffix in name.lower()), delimiter)
    if delimiter != usual:
        notes += (f"{name} separates its columns by {DELIMITERS[delimiter]}",)
    columns = {column: [row[i] or None for row in rows] for i, column in enumerate(names)}
    return Table(name, columns, notes=notes + quoting_notes)


def _header(text: str, request: Request) -> tuple[list[str], str]:
    """The first line's fields, and the delimiter by which it has the wanted columns, or otherwise the most columns."""

    def fits(fields: Sequence[str]) -> tuple[bool, int]:
        if request.header is not None:
            return len(fields) == len(request.header), len(fields)
        return set(request.wanted) <= set(fields), len(fields)

    lines = {d: [field.strip() for field in next(_reader(text, d), [])] for d in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: fits(lines[delimiter]))
    return lines[best], best


def _body(text: str, delimiter: str, width: int, name: str) -> tuple[list[list[str]], tuple[str, ...]]:
    """All rows. Quotation marks are taken literally in a file that does not follow the rules of quoting throughout."""
    problem, rows = _checked(text, delimiter, width, csv.QUOTE_MINIMAL)
    if problem and '"' in text:
        # A stray quote would swallow the lines up to the next one.
        plain_problem, plain = _checked(text, delimiter, width, csv.QUOTE_NONE)
        if not plain_problem:
            return plain, (f"{name} has stray quotation marks; taken as they stand",)
    if problem:
        raise UserError(
            f"data.source: {name}, {problem}; put fields that hold {DELIMITERS[delimiter]} in quotation marks, "
            "and double those within"
        )
    return rows, ()


def _checked(text: str, delimiter: str, width: int, quoting: int) -> tuple[str | None, list[list[str]]]:
    """What is wrong with the first bad row (None if all are good), and the rows."""
    reader = _reader(text, delimiter, quoting, strict=True)
    rows, ragged = [], []
    try:
        for row in reader:
            if row and len(row) != width:
                ragged.append(f"line {reader.line_num}: {len(row)} fields, but the first line has {width}")
            elif row:
                rows.append(row)
    except csv.Error as error:
        return f"line {reader.line_num}: {error}", rows
    more = f" ({len(ragged) - 1:,} more such lines)" if len(ragged) > 1 else ""
    return (ragged[0] + more if ragged else None), rows


def _reader(text: str, delimiter: str, quoting: int = csv.QUOTE_MINIMAL, strict: bool = False) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=strict)  # type: ignore[arg-type]
