"""Printing for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PIPE_WIDTH = 200
"""Columns of a table in a pipe: wide enough that no line breaks."""

TERMINAL_WIDTH = 100
"""Columns of a table on a terminal; a wider terminal does not pull it apart."""


def console(err: bool = False) -> Console:
    """Where tables go: coloured on a terminal (unless NO_COLOR is set), plain and unbroken in a pipe.

    Args:
        err: whether to write to the standard error, beside the data.
    """
    from rich.console import Console

    found = Console(highlight=False, stderr=err)
    found.width = min(found.width, TERMINAL_WIDTH) if found.is_terminal else PIPE_WIDTH
    return found


def say(line: str) -> None:
    """Print a note to the standard error, so that the standard output holds nothing but results."""
    click.echo(line, err=True)


def show(*parts: RenderableType) -> None:
    """Print tables and lines. In a pipe, tables have no rules and lines have no trailing blanks."""
    from rich.table import Table

    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    for part in parts:
        if isinstance(part, Table) and part.box is not None:
            part.box, part.padding = None, (0, 2, 0, 0)  # the rules held the columns apart
    with target.capture() as captured:
        target.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def list_table(*headings: str) -> Table:
    """A table without rules, for lists that are not trials."""
    from rich.table import Table

    return Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def print_json(data: Any) -> None:
    """Print data as JSON that every parser reads: a number that is not finite becomes null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if data - data == 0 else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data
