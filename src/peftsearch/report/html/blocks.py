"""What a section of the report is made of. The template draws each kind of block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from peftsearch.report.fitted_table import FittedTable


@dataclass(frozen=True)
class Prose:
    """One paragraph."""

    kind: ClassVar = "prose"
    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    kind: ClassVar = "points"
    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Terms, each with what there is to say about it."""

    kind: ClassVar = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """A table under a caption."""

    kind: ClassVar = "grid"
    caption: str
    table: FittedTable

    @property
    def rows(self) -> list[list[tuple[str, str]]]:
        """The kind and the words of each cell, row by row."""
        columns = [[(column.kind, cell.plain) for cell in column.cells] for column in self.table.columns]
        return [list(row) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Plot:
    """A figure that answers the mouse.

    Attributes:
        caption: what it shows, in words that stand for it where it cannot be seen.
        wide: whether it is scrolled on a narrow screen, because it could not be read there otherwise.
    """

    kind: ClassVar = "plot"
    caption: str
    figure: Figure
    wide: bool = False


Block = Prose | Points | Facts | Grid | Plot


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        anchor: the section's name in links within the page.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]


def as_sentence(text: str) -> str:
    """A clause as a sentence.

    >>> as_sentence("take trial 7, lora")
    'Take trial 7, lora.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
