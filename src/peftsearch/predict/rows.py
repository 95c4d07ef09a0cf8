"""Rows of a file to label, one after the other, with what is wrong with a row beside it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table
from peftsearch.data.columns import ROWS_LOOKED_AT, without_header
from peftsearch.data.read.delimited import DELIMITERS, find_header
from peftsearch.data.read.formats import Request, check_columns, json_list, json_row
from peftsearch.data.read.odd_lines import UNREADABLE, stream_records
from peftsearch.data.read.packing import limited
from peftsearch.data.read.workbook import read_workbook
from peftsearch.predict.stream import Stream

if TYPE_CHECKING:
    from pyarrow import Schema

    from peftsearch.predict.input import InputTexts

SAMPLE = 1000
"""Lines of a delimited file by which its header and the shape of its rows are found out."""

PARQUET_ROWS = 1024
"""Rows of a Parquet file that are read together."""


@dataclass(frozen=True)
class FileRow:
    """A row of a file.

    Attributes:
        place: where it stands, as in `line 7`.
        values: its values by column.
        problem: why it cannot be read, if it cannot.
    """

    place: str
    values: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of a file, which can be read once.

    Attributes:
        columns: the columns of each row; None where each row names its own.
        schema: their types, of a Parquet file.
    """

    rows: Iterator[FileRow]
    columns: tuple[str, ...] | None = None
    schema: Schema | None = None


def read_rows(stream: Stream, inputs: InputTexts, encoding: str | None = None) -> Rows:
    """Start to read a file.

    Raises:
        UserError: it lacks a column that the classifier reads, or cannot be read at all.
    """
    found = READERS[stream.kind](stream, inputs, encoding)
    missing = [name for name in inputs.columns if found.columns is not None and name not in found.columns]
    if missing:
        header = _header_missing(found, stream.name)
        raise UserError(
            f"--file {stream.name}: no column {missing[0]!r}; columns: {', '.join(found.columns or ())}; "
            f"{f'{header}, or ' if header else ''}name the column of the text with --text-column"
        )
    return found


def _header_missing(found: Rows, name: str) -> str | None:
    rows = [row.values for row in islice(found.rows, ROWS_LOOKED_AT)]
    return without_header(Table(name, {column: [row.get(column) for row in rows] for column in found.columns or ()}))


def _text_lines(stream: Stream, inputs: InputTexts, encoding: str | None) -> Rows:
    """A text on each line, or a pair with a tab between the texts. Blank lines at the end are no rows."""
    columns = inputs.bare_columns()

    def rows() -> Iterator[FileRow]:
        blank: list[FileRow] = []
        for number, line in enumerate(stream.lines(encoding), start=1):
            # A line ends where editors end it: `splitlines` would also break a text at U+2028 and others.
            text = line.rstrip("\r\n")
            parts = [text] if len(columns) == 1 else text.split("\t")
            fits = len(parts) == len(columns)
            values = dict(zip(columns, parts if fits else [text, *[""] * (len(columns) - 1)], strict=True))
            problem = None if fits else "not a pair; write two texts with a tab between them"
            if not text.strip():
                blank.append(FileRow(f"line {number}", values))
                continue
            yield from blank
            blank.clear()
            yield FileRow(f"line {number}", values, problem)

    return Rows(rows(), columns)


def _delimited(stream: Stream, inputs: InputTexts, encoding: str | None) -> Rows:
    """Values are texts. A column without a name gets one if there are several such columns."""
    csv.field_size_limit(sys.maxsize)
    lines = stream.lines(encoding)
    sample = list(islice(lines, SAMPLE))
    text = "".join(sample)
    below, names, delimiter = find_header(text, Request(inputs.columns))
    check_columns(names, stream.name)
    before = text[: len(text) - len(below)].count("\n")
    first_rows = [row for row in csv.reader(sample[before + 1 :], delimiter=delimiter) if row]
    if first_rows and all(len(row) == len(names) + 1 and row[0].isdecimal() for row in first_rows):
        names = ["", *names]  # row numbers, as R writes them
    columns = _named(names)

    def rows() -> Iterator[FileRow]:
        records = stream_records(chain(sample[before:], lines), delimiter, len(columns))
        next(records, None)  # the header
        for record in records:
            values, problem = _fitted(record.fields, columns, delimiter)
            problem = problem if record.readable else f"{UNREADABLE}; correct the line"
            yield FileRow(f"line {before + record.line}", values, problem)

    return Rows(rows(), columns)


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """The names of columns, each another one: pandas writes several without a name."""
    return tuple(name or ("" if "" not in names[:i] else f"Unnamed: {i}") for i, name in enumerate(names))


def _fitted(fields: list[str], columns: Sequence[str], delimiter: str) -> tuple[dict[str, str], str | None]:
    """The fields by column. Of a row with too few some are empty; what a row has too much stays in its last column."""
    width = len(columns)
    surplus = fields[width:]
    problem = None
    if len(fields) < width or any(surplus):
        kind = DELIMITERS.get(delimiter, repr(delimiter))
        problem = (
            f"{len(fields)} fields, but the first line has {width}; put fields that hold {kind} in quotation marks"
        )
    kept = fields[:width] + [""] * (width - len(fields))
    if any(surplus):
        kept[-1] = delimiter.join([kept[-1], *surplus])
    return dict(zip(columns, kept, strict=True)), problem


def _json(stream: Stream, inputs: InputTexts, encoding: str | None) -> Rows:
    """An object on each line, or one list of objects, which has to fit into memory."""
    lines = stream.lines(encoding)
    first = list(islice(lines, 1))
    while first and not first[-1].strip():
        first += list(islice(lines, 1)) or [""]
        if not first[-1]:
            break
    if first and first[-1].lstrip().startswith("["):
        found = json_list("".join(chain(first, lines)), stream.name)
        return Rows(FileRow(f"row {place}", row) for place, row in enumerate(found, start=1))

    def rows() -> Iterator[FileRow]:
        for number, line in enumerate(chain(first, lines), start=1):
            if line.strip():
                row, problem = json_row(line)
                yield FileRow(f"line {number}", row, problem)

    return Rows(rows())


def _parquet(stream: Stream, inputs: InputTexts, encoding: str | None) -> Rows:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    # Parquet begins to be read at its end: what is not a file that can be is held in memory.
    source = stream.file if stream.file.seekable() else io.BytesIO(limited(stream.file, stream.name))
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"--file {stream.name}: is not a Parquet file: {one_line(error)}") from error
    check_columns(file.schema_arrow.names, stream.name)

    def rows() -> Iterator[FileRow]:
        place = 0
        try:
            for batch in file.iter_batches(PARQUET_ROWS):
                for row in batch.to_pylist():
                    place += 1
                    yield FileRow(f"row {place}", row)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"--file {stream.name}: is damaged after row {place:,}: {one_line(error)}") from error

    return Rows(rows(), tuple(file.schema_arrow.names), file.schema_arrow)


def _workbook(stream: Stream, inputs: InputTexts, encoding: str | None) -> Rows:
    """The rows of the one sheet that holds any, which has to fit into memory."""
    table = read_workbook(limited(stream.file, stream.name), stream.name, Request(inputs.columns))
    columns = tuple(table.columns)

    def rows() -> Iterator[FileRow]:
        for place, values in enumerate(zip(*table.columns.values(), strict=True), start=1):
            yield FileRow(f"row {place}", dict(zip(columns, map(_cell, values), strict=True)))

    return Rows(rows(), columns)


def _cell(value: Any) -> Any:
    """A cell as other formats hold it: spreadsheets keep whole numbers as floats, and dates as numbers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


READERS: dict[str, Callable[[Stream, InputTexts, str | None], Rows]] = {
    ".txt": _text_lines,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _json,
    ".ndjson": _json,
    ".json": _json,
    ".parquet": _parquet,
    ".xlsx": _workbook,
    ".ods": _workbook,
}
