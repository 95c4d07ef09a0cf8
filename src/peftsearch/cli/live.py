"""What is shown while a search runs: a live view on a terminal, one line for each ended trial in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from peftsearch.cli.shared.output import console, harmless, is_terminal, print_line
from peftsearch.core.escaping import on_one_line

if TYPE_CHECKING:
    from rich.live import Live

    from peftsearch.storage.records import Record

OnTick = Callable[[Sequence["Record"]], None]
"""Called with all trials before the workers start, and again and again while they run."""


@contextmanager
def search_view(objectives: Sequence[str], budget: int | None, *, err: bool = False) -> Iterator[OnTick]:
    """Show a search to a person: redraw a view at each call, or print each ended trial once.

    Args:
        objectives: the study's.
        budget: the total of trials asked for, if there is one.
        err: whether to write to the standard error, because the standard output is for JSON.
    """
    if is_terminal(err) and not console(err).is_dumb_terminal:  # a dumb one cannot take back what it shows
        with ExitStack() as stack:
            yield _live(objectives, budget, err, stack)
    else:
        yield _lines(objectives, budget, err)


def _live(objectives: Sequence[str], budget: int | None, err: bool, stack: ExitStack) -> OnTick:
    """A view on the terminal, which is taken over at the first call and given back when `stack` is closed."""
    from rich.console import Group
    from rich.live import Live

    from peftsearch.report.study_views import progress_view

    live: list[Live] = []

    def draw(records: Sequence[Record]) -> None:
        if not live:
            view = Live(console=console(err), transient=True, auto_refresh=False, vertical_overflow="ellipsis")
            live.append(stack.enter_context(view))
        live[0].update(harmless(Group(*progress_view(records, objectives, budget))), refresh=True)

    return draw


def _lines(objectives: Sequence[str], budget: int | None, err: bool) -> OnTick:
    """One line for each trial that has ended since the first call, with how far the search is."""
    from peftsearch.report.study_views import ended_lines

    before: list[Sequence[Record]] = []

    def tell(records: Sequence[Record]) -> None:
        for line in ended_lines(before[-1], records, objectives, budget) if before else ():
            print_line(on_one_line(line), err=err)
        before[:] = [records]

    return tell
