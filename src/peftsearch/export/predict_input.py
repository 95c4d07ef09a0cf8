"""Reads the texts that `predict` labels from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.data.columns import columns_of, compose_texts
from peftsearch.data.read.files import Location, read_location
from peftsearch.data.read.formats import Request


def read_input(file: Path, columns: Sequence[str]) -> list[str | tuple[str, str]]:
    """Read the lines of a `.txt` file, or the rows of any other format that a study's data can have.

    Args:
        file: the file.
        columns: the columns of the texts: one, or two for pairs. A `.txt` file holds pairs as two texts with a tab
            between them.

    Returns:
        The texts or pairs of texts, in the order of the file.

    Raises:
        UserError: there is no such file, it cannot be read, a column is missing, or a text is blank.
    """
    if not file.is_file():
        raise UserError(f"--file {file}: no such file")
    parts = _lines(file, len(columns)) if file.suffix.lower() == ".txt" else _columns(file, columns)
    rows = [tuple(str(part).strip() if part is not None else "" for part in row) for row in zip(*parts, strict=True)]
    blank = next((place for place, row in enumerate(rows, start=1) if not all(row)), None)
    if blank:
        raise UserError(f"--file {file}: row {blank} has a blank text; fill it or delete the row")
    return [row[0] if len(row) == 1 else (row[0], row[1]) for row in rows]


def _lines(file: Path, count: int) -> list[list[str]]:
    try:
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError(f"--file {file}: is not UTF-8; convert it") from None
    if count == 1:
        return [lines]
    pairs = [line.split("\t") for line in lines]
    odd = next((place for place, pair in enumerate(pairs, start=1) if len(pair) != count), None)
    if odd:
        raise UserError(f"--file {file}: line {odd} is not a pair; write two texts with a tab between them")
    return [[pair[place] for pair in pairs] for place in range(count)]


def _columns(file: Path, columns: Sequence[str]) -> list[Sequence[object]]:
    wanted = tuple(name for written in columns for name in columns_of(written))
    table = read_location(Location(str(file)), Request(wanted))
    for column in wanted:
        if column not in table.columns:
            raise UserError(f"--file {file}: no column {column!r}; columns: {', '.join(table.columns)}")
    return [compose_texts(table, written) for written in columns]
