"""A table that fits any width: no number and no heading's word is ever cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from peftsearch.core.escaping import on_one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

Kind = Literal["number", "word", "text"]
"""What a column holds: numbers (at the right), single words such as a state (never broken), or texts (which fold)."""

COMFORTABLE, SHORT, SHORTEST = 24, 11, 6
"""Characters below which a text column shrinks only after the headings are folded; only where no longer word stands in
it; and only where even a single column beside the key columns would not fit."""

LONGEST_WORD = 32
"""A word of a text, unless it is a URL, is broken only if it is longer than this."""


@dataclass
class Column:
    """A column of a `FittedTable`.

    Attributes:
        heading: with a line break where it may always be broken.
        cells: one for each row.
    """

    heading: str
    kind: Kind
    cells: list[Text] = field(default_factory=list)

    @property
    def natural(self) -> int:
        """The characters that the column takes when no cell is folded."""
        return max(self._widest_cell, *map(_length, self.heading.split("\n")))

    @property
    def least(self) -> int:
        """The characters without which a number, a word or a URL would be broken."""
        if self.kind != "text":
            return max(self._widest_cell, self.heading_word)
        words = (word for cell in self.cells for word in cell.plain.split())
        longest = max(
            (_length(word) if "://" in word else min(_length(word), LONGEST_WORD) for word in words), default=0
        )
        return max(self.heading_word, longest, min(self.natural, SHORT))

    @property
    def heading_word(self) -> int:
        """The characters of the heading's longest word."""
        return max(map(_length, self.heading.split()), default=0)

    @property
    def _widest_cell(self) -> int:
        return max((cell.cell_len for cell in self.cells), default=0)


class FittedTable:
    """Rows of cells, laid out for the width that there is.

    What does not fit gives way in this order: texts fold, headings fold over more lines, and at last the table is
    printed in blocks, each of which begins with the key columns. A table that fits is not stretched.
    """

    def __init__(self, *, keys: int = 1, title: str | None = None, indent: int = 0) -> None:
        """Begin a table without columns.

        Args:
            keys: how many of the first columns say what a row is; every block repeats them.
            title: a line above the table.
            indent: the number of blanks before each line.
        """
        self.columns: list[Column] = []
        self._keys, self._title, self._indent = keys, title, indent
        self._sections: set[int] = set()

    def add_column(self, heading: str, kind: Kind = "text") -> None:
        """Add a column at the right."""
        self.columns.append(Column(heading, kind))

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, one cell for each column; a string is shown as it is, without markup and on one line."""
        from rich.text import Text

        for column, cell in zip(self.columns, cells, strict=True):
            column.cells.append(Text(on_one_line(cell)) if isinstance(cell, str) else cell)

    def add_section(self) -> None:
        """Set the rows that follow apart from those before."""
        self._sections.add(len(self.columns[0].cells) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        if self._title:
            yield Text(self._title)
        blocks = list(self._blocks(options.max_width - self._indent))
        for place, (shown, widths, gap) in enumerate(blocks, start=1):
            table = self._table(shown, widths, gap, rules=console.is_terminal)
            needed = self._indent + sum(widths) + gap * len(widths)
            wide = options.update(max_width=max(options.max_width, needed))  # else rich would cut off what is too wide
            yield from console.render(Padding(table, (0, 0, 0, self._indent), expand=False), wide)
            if place < len(blocks) or console.is_terminal:
                yield Text("")

    def _blocks(self, width: int) -> Iterator[tuple[list[Column], list[int], int]]:
        """The columns of each block, their widths, and the blanks between two of them."""
        for gap in (2, 1):
            widths = fitted(self.columns, width, gap)
            if widths:
                yield self.columns, widths, gap
                return
        keys, rest = self.columns[: self._keys], self.columns[self._keys :]
        while rest:
            count = next((n for n in range(len(rest), 1, -1) if fitted([*keys, *rest[:n]], width, 1)), 1)
            block = [*keys, *rest[:count]]
            yield block, fitted(block, width, 1) or squeezed(block, width, 1), 1
            rest = rest[count:]

    def _table(self, shown: Sequence[Column], widths: Sequence[int], gap: int, *, rules: bool) -> Table:
        """A table of rich; in a pipe it has no rules, and `gap` blanks hold its columns apart."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        headings = any(column.heading for column in shown)
        table = Table(
            box=box.SIMPLE_HEAD if rules and headings else None,
            show_header=headings,
            show_edge=False,
            pad_edge=False,
            padding=(0, gap - (rules and headings), 0, 0),
        )
        for column, width in zip(shown, widths, strict=True):
            side: Literal["left", "right"] = "right" if column.kind == "number" else "left"
            table.add_column(Text(column.heading), justify=side, width=width, overflow="fold")
        for place, cells in enumerate(zip(*(column.cells for column in shown), strict=True)):
            table.add_row(*cells, end_section=place in self._sections)
        return table


def fitted(columns: Sequence[Column], width: int, gap: int) -> list[int] | None:
    """The width of each column, of which none is below its least; None if they do not fit into `width`.

    Texts shrink to a comfortable width first, then headings fold, then texts shrink to what their longest words need.
    """
    room = width - gap * (len(columns) - 1)
    comfortable = [c.natural if c.kind != "text" else max(c.least, min(c.natural, COMFORTABLE)) for c in columns]
    for least in (comfortable, [column.least for column in columns]):
        if sum(least) <= room:
            return _shared(
                room, least, [c.natural if c.kind == "text" else n for c, n in zip(columns, least, strict=True)]
            )
    return None


def squeezed(columns: Sequence[Column], width: int, gap: int) -> list[int]:
    """Widths for columns that do not fit otherwise: words of the texts are broken as well."""
    least = [max(SHORTEST, c.heading_word) if c.kind == "text" else c.least for c in columns]
    return _shared(width - gap * (len(columns) - 1), least, [column.natural for column in columns])


def _shared(room: int, least: Iterable[int], natural: Sequence[int]) -> list[int]:
    """`least`, and what is left of the room for the columns that want more, the narrowest first."""
    widths = list(least)
    for _ in range(room - sum(widths)):
        wanting = [place for place, width in enumerate(widths) if width < natural[place]]
        if not wanting:
            break
        widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def _length(text: str) -> int:
    """The columns of a terminal that `text` takes: some characters are two wide."""
    from rich.cells import cell_len

    return cell_len(text)
