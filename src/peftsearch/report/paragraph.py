"""Lines of prose that are wrapped between words, never within a number and its unit, nor within a URL."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from peftsearch.core.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

TIE = "\N{NO-BREAK SPACE}"


def tied(text: str) -> str:
    """`text`, within which a paragraph is not wrapped."""
    return text.replace(" ", TIE)


class Paragraph:
    """Text that is wrapped to the width there is."""

    def __init__(self, text: str, indent: int = 0) -> None:
        """Args:
        text: one paragraph; what is `tied` in it stays together.
        indent: the number of blanks before each line.
        """
        self._text, self._indent = visible(text), " " * indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        lines = textwrap.wrap(
            self._text,
            options.max_width,
            initial_indent=self._indent,
            subsequent_indent=self._indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines:
            yield Text(line.replace(TIE, " "), no_wrap=True, overflow="ignore")
