"""CSV and its relatives: the delimiter and the quoting are found out from the columns that the study names."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.formats import Request, decode

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
USUAL = {".csv": ",", ".tsv": "\t"}


def read_delimited(content: bytes, name: str, request: Request) -> Table:
    """All values as text, an empty field as missing; `NA` and `null` are words like any other.

    Raises:
        UserError: the lines do not all have as many fields as the header.
    """
    text, notes = decode(content, name)
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
    """The first line's fields, and the delimiter that gives the columns asked for, or failing that the most."""

    def fits(fields: Sequence[str]) -> tuple[bool, int]:
        if request.header is not None:
            return len(fields) == len(request.header), len(fields)
        return set(request.wanted) <= set(fields), len(fields)

    lines = {d: [field.strip() for field in next(iter(_parse(text, d)), [])] for d in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: fits(lines[delimiter]))
    return lines[best], best


def _body(text: str, delimiter: str, width: int, name: str) -> tuple[list[list[str]], tuple[str, ...]]:
    """All lines, read with quotes if that makes sense of the file, else taking quotes as they stand."""
    quoted = [row for row in _parse(text, delimiter) if row]
    if not _ragged(quoted, width) and len(quoted) == text.rstrip("\n").count("\n") + 1:
        return quoted, ()
    plain = [row for row in _parse(text, delimiter, csv.QUOTE_NONE) if row]
    # A stray quote swallows the lines up to the next one; without quoting such a file has more rows, and all are whole.
    if not _ragged(plain, width) and (_ragged(quoted, width) or len(plain) > len(quoted)):
        return plain, (f"{name} has stray quotation marks; taken as they stand",)
    ragged = _ragged(quoted, width)
    if ragged:
        number, fields = ragged[0]
        others = f" ({len(ragged) - 1:,} more such rows)" if len(ragged) > 1 else ""
        raise UserError(
            f"data.source: {name}, row {number}: {fields} fields, but the first row has {width}{others}; "
            f"put fields that hold {DELIMITERS[delimiter]} in quotation marks"
        )
    return quoted, ()


def _ragged(rows: Sequence[list[str]], width: int) -> list[tuple[int, int]]:
    return [(number, len(row)) for number, row in enumerate(rows, start=1) if len(row) != width]


def _parse(text: str, delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
