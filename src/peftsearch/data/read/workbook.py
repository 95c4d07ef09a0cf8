"""Tables of spreadsheet programs, which python-calamine reads; it comes with `peftsearch[excel]`."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table, label_text
from peftsearch.data.read.formats import Request, check_columns
from peftsearch.data.read.packing import check_size


def read_workbook(content: bytes, name: str, request: Request) -> Table:
    """Read the one sheet that holds rows; its first row names the columns. An empty cell counts as missing.

    Raises:
        UserError: python-calamine is not installed, the file is damaged, too large or locked by a password, or several
            sheets hold rows.
    """
    sheets = {title: rows for title, rows in _sheets(content, name).items() if rows}
    if len(sheets) > 1:
        titles = ", ".join(map(repr, sheets))
        raise UserError(
            f"data.source: {name} has rows in {len(sheets)} sheets ({titles}); save the one you mean as CSV"
        )
    header, *rows = next(iter(sheets.values()), [[]])
    names = [label_text(cell) or "" for cell in header]
    check_columns(names, name)
    return Table(name, {column: [row[place] for row in rows] for place, column in enumerate(names)})


def _sheets(content: bytes, name: str) -> dict[str, list[list[Any]]]:
    """The rows of each sheet without those that are empty; an empty cell is None."""
    try:
        import python_calamine
    except ImportError:
        raise UserError(
            f"data.source: {name} is a spreadsheet; save it as CSV, or pip install 'peftsearch[excel]'"
        ) from None
    if not content:
        raise UserError(f"data.source: {name} is empty: it has no bytes")
    _check_unpacked_size(content, name)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        found = {title: book.get_sheet_by_name(title).to_python() for title in book.sheet_names}
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise UserError(f"data.source: {name} cannot be read as a spreadsheet: {one_line(error)}") from error
    filled = {title: [[None if cell == "" else cell for cell in row] for row in rows] for title, rows in found.items()}
    return {title: [row for row in rows if any(cell is not None for cell in row)] for title, rows in filled.items()}


def _check_unpacked_size(content: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_size(sum(member.file_size for member in archive.infolist()), name)
    except zipfile.BadZipFile as error:
        raise UserError(f"data.source: {name} cannot be read as a spreadsheet: {one_line(error)}") from error
