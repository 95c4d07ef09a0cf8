"""Lines of prose that are wrapped between words, never within a number and its unit, nor within a URL."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from peftsearch.core.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

TIE = "\N{NO-BREAK SPACE}"

UNIT = re.compile(r"(?<=\d) (?=%|(?:s|ms|min|h|MB|MiB|M|k)\b)")
"""The blank between a number and its unit."""


def tied(text: str) -> str:
    """`text`, within which a paragraph is not wrapped."""
    return text.replace(" ", TIE)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """The lines of one paragraph, which are longer than `width` only where a word is.

    Args:
        text: what is `tied` in it stays together, and so does a number with its unit.
        indent: the number of blanks before each line.
    """
    lines = textwrap.wrap(
        UNIT.sub(TIE, text),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(TIE, " ") for line in lines]


class Paragraph:
    """Text that is wrapped to the width there is."""

    def __init__(self, text: str, indent: int = 0) -> None:
        """Args:
        text: one paragraph; what is `tied` in it stays together.
        indent: the number of blanks before each line.
        """
        self._text, self._indent = visible(text), indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in wrapped(self._text, options.max_width, self._indent):
            yield Text(line, no_wrap=True, overflow="ignore")
