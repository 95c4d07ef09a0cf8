"""Printing for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 200
"""Columns of a table in a pipe: wide enough that hardly a line breaks."""


def console(err: bool = False) -> Console:
    """Where tables go: coloured on a terminal (unless NO_COLOR is set), plain and unbroken in a pipe.

    Args:
        err: whether to write to the standard error, beside the data.
    """
    from rich.console import Console

    found = Console(highlight=False, stderr=err)
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def say(line: str) -> None:
    """Print a note to the standard error, so that the standard output holds nothing but results."""
    click.echo(line, err=True)


def show(*parts: RenderableType) -> None:
    """Print tables and lines. In a pipe, lines have no trailing blanks."""
    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n", crop=False)
        return
    with target.capture() as captured:
        target.print(*parts, sep="\n", crop=False)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(data: Any) -> None:
    """Print data as JSON that every parser reads: a number that is not finite becomes null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if data - data == 0 else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data
