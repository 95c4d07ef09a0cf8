"""What is shown while a search runs: a live view on a terminal, one line for each ended trial in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from peftsearch.cli.output import console, harmless, print_line
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
    if console(err).is_terminal:
        with ExitStack() as stack:
            yield _live(objectives, budget, err, stack)
    else:
        yield _lines(objectives, err)


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


def _lines(objectives: Sequence[str], err: bool) -> OnTick:
    """One line for each trial that has ended since the first call."""
    from peftsearch.report.study_views import newly_ended, trial_line

    before: list[Sequence[Record]] = []

    def tell(records: Sequence[Record]) -> None:
        for record in newly_ended(before[-1], records) if before else ():
            print_line(on_one_line(trial_line(record, objectives)), err=err)
        before[:] = [records]

    return tell
