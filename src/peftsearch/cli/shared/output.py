"""Printing for people and for programs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.shared.volume import is_plain, is_quiet, is_verbose
from peftsearch.core.escaping import json_escapes, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

PIPE_WIDTH = 200
"""Columns of a table in a pipe: wide enough that hardly a line breaks."""


def console(err: bool = False) -> Console:
    """Where tables go: coloured on a terminal (unless --no-color or NO_COLOR is given), plain and unbroken in a pipe.

    FORCE_COLOR gives a pipe colours too.

    Args:
        err: whether to write to the standard error, beside the data.
    """
    from rich.console import Console

    # What is printed are data: square brackets and :names: in them are no markup.
    found = Console(highlight=False, markup=False, emoji=False, stderr=err, no_color=is_plain() or None)
    if not is_terminal(err):
        found.width = PIPE_WIDTH
    return found


def is_terminal(err: bool = False) -> bool:
    """Whether a person looks at the standard output (or the standard error), whatever colours were asked for."""
    return (sys.stderr if err else sys.stdout).isatty()


def can_redraw(err: bool = False) -> bool:
    """Whether what is shown can be taken back. A pipe, a dumb terminal and the cell of a notebook only add to it."""
    # ipykernel 7.4 gives what a cell runs a terminal and these two; the notebook then shows each view below the last.
    in_notebook = os.environ.get("TERM") == "xterm-color" and os.environ.get("CLICOLOR_FORCE") == "1"
    return is_terminal(err) and not console(err).is_dumb_terminal and not in_notebook


def say(line: str) -> None:
    """Print a note to the standard error, so that the standard output holds nothing but results.

    With --quiet nobody wants it.
    """
    if not is_quiet():
        complain(line)


def debug(line: str) -> None:
    """Print to the standard error what only --verbose asks for."""
    if is_verbose():
        complain(f"debug: {line}")


def complain(line: str) -> None:
    """Print to the standard error what went wrong, which --quiet does not take away."""
    _print_wrapped(line, err=True)


def tell(line: str) -> None:
    """Print a result in words; what begins with a blank, such as a command to copy, is left as it is."""
    _print_wrapped(line, err=False)


def _print_wrapped(text: str, err: bool) -> None:
    """Print lines, on a terminal wrapped between words: a terminal itself breaks them anywhere, numbers too."""
    from peftsearch.report.paragraph import wrapped

    for line in text.splitlines() or [""]:
        keep = not is_terminal(err) or not line or line[0].isspace()
        for part in [line] if keep else wrapped(line, console(err).width):
            print_line(part, err=err)


def print_line(line: str, err: bool = False) -> None:
    """Print a line, in which a terminal reads no commands.

    While a live view is shown, it stands above the view: rich then takes the place of `sys.stderr` and `sys.stdout`,
    which `click.echo` would pass by.
    """
    print(visible(line), file=sys.stderr if err else sys.stdout, flush=True)


def show(*parts: RenderableType) -> None:
    """Print tables and lines. In a pipe, lines have no trailing blanks."""
    target = console()
    if is_terminal():
        target.print(*map(harmless, parts), sep="\n", crop=False)
        return
    with target.capture() as captured:
        target.print(*map(harmless, parts), sep="\n", crop=False)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    click.echo(text, color=target.color_system is not None)  # else click takes out what FORCE_COLOR has asked for


def harmless(part: RenderableType) -> RenderableType:
    """`part` in which a terminal reads no commands but those of rich."""
    from rich.text import Text

    if isinstance(part, str):
        return Text(visible(part))
    if isinstance(part, Text):
        return part if visible(part.plain) == part.plain else Text(visible(part.plain), style=part.style, end=part.end)
    return Harmless(part)


@dataclass(frozen=True)
class Harmless:
    """A table or a group of parts, drawn by rich and then made harmless."""

    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self.part, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def print_json(data: Any) -> None:
    """Print data as JSON that every parser reads: a number that is not finite becomes null."""
    click.echo(json_escapes(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False)))


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if data - data == 0 else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data
