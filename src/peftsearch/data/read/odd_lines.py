"""Reads delimited files in which some lines break the rules of quoting. The repair of a line leaves others alone."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from peftsearch.core.errors import UserError

MOST_LINES = 500
"""The most lines of one field, so that a stray quotation mark costs little time."""


@dataclass(frozen=True)
class Record:
    """A row of a delimited file.

    Attributes:
        line: the number of its last line, the file's first being 1.
        repair: which of the `REPAIRS` it needed, if any.
        readable: whether it could be read at all; if not, its only field is the line as it stands.
    """

    fields: list[str]
    line: int
    repair: str | None = None
    readable: bool = True


REPAIRS = {
    "escaped": 'writes quotation marks as \\"',
    "stray": "has stray quotation marks",
}

UNREADABLE = "quotation marks that neither enclose a field nor are doubled"


def read_records(text: str, delimiter: str, width: int, name: str) -> tuple[list[Record], tuple[str, ...]]:
    """All records of a file, and a note for each kind of repair.

    Args:
        width: the number of fields of a record, by which a repair is judged.

    Raises:
        UserError: a line cannot be read either way.
    """
    records = list(stream_records(io.StringIO(text, newline=""), delimiter, width))
    odd = next((record for record in records if not record.readable), None)
    if odd:
        raise UserError(f"data.source: {name}, line {odd.line}: {UNREADABLE}; correct the line")
    repaired = Counter(record.repair for record in records if record.repair)
    notes = [
        f"{name} {REPAIRS[kind]} in {count:,} {'row' if count == 1 else 'rows'}; taken as they stand"
        for kind, count in repaired.items()
    ]
    return records, tuple(notes)


def stream_records(lines: Iterable[str], delimiter: str, width: int) -> Iterator[Record]:
    """The records of a file of any size, of which a few hundred lines are held at a time.

    Args:
        lines: the file's lines, each with its end.
        width: the number of fields of a record, by which a repair is judged.
    """
    coming, held, at, number = iter(lines), list[str](), 0, 0
    while True:
        if len(held) - at < MOST_LINES:  # a record may go on in so many lines
            held, at = [*held[at:], *islice(coming, 4 * MOST_LINES)], 0
        if at >= len(held):
            return
        found = _record(held, at, delimiter, width)
        fields, taken, repair = found or ([held[at].rstrip("\r\n")], 1, None)
        at += taken
        number += taken
        if fields:
            yield Record(fields, number, repair, readable=found is not None)


def _record(lines: list[str], at: int, delimiter: str, width: int) -> tuple[list[str], int, str | None] | None:
    """The fields of the record that starts at a line, how many lines it takes, and the repair that it needed."""
    line = lines[at].rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter) if line else [], 1, None
    for taken, text in _candidates(lines, at):
        for repair, written in ((None, text), ("escaped", text.replace('\\"', '""'))):
            fields = _parsed(written, delimiter)
            if fields and len(fields) == width and not (taken > 1 and swallows(fields, delimiter)):
                return fields, taken, repair
    fields = _parsed(line, delimiter)
    if fields and delimiter != "\t":
        return fields, 1, None  # it keeps the rules and has the wrong number of fields, which is told
    for repaired in (_between_quotes(line, delimiter), _as_they_stand(line, delimiter)):
        if len(repaired) == width:
            return repaired, 1, "stray"
    return (fields, 1, None) if fields else None


def swallows(fields: list[str], delimiter: str) -> bool:
    """Whether a stray quotation mark made one field of several rows: a quoted field with tabs and ends of lines."""
    return delimiter == "\t" and any("\t" in field and "\n" in field for field in fields)


def _candidates(lines: list[str], at: int) -> Iterator[tuple[int, str]]:
    """The line, and it with the lines that follow as long as a quotation mark may be open."""
    yield 1, lines[at]
    if '"' not in lines[at]:
        return
    for end in range(at + 1, min(at + MOST_LINES, len(lines))):
        if '"' in lines[end]:
            text = "".join(lines[at : end + 1])
            yield end + 1 - at, text
            if not (_is_open(text) or _is_open(text.replace('\\"', '""'))):
                return


def _parsed(text: str, delimiter: str) -> list[str] | None:
    """The fields of one record by the rules of quoting; None if it breaks them."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _is_open(text: str) -> bool:
    """Whether a field may go on in the next line: the text has an odd number of quotation marks."""
    return text.count('"') % 2 == 1


def _between_quotes(line: str, delimiter: str) -> list[str]:
    """The fields of a line in which all are enclosed, with quotation marks and delimiters in them."""
    enclosed = len(line) > 1 and line[0] == line[-1] == '"'
    return [field.replace('""', '"') for field in line[1:-1].split(f'"{delimiter}"')] if enclosed else []


def _as_they_stand(line: str, delimiter: str) -> list[str]:
    """The fields of a line with stray quotation marks; none if one may open a field that goes on in the next line."""
    may_go_on = delimiter != "\t" and _is_open(line)
    return [] if may_go_on else [_unquoted(field) for field in line.split(delimiter)]


def _unquoted(field: str) -> str:
    """A field without the quotation marks around it."""
    enclosed = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if enclosed else field
