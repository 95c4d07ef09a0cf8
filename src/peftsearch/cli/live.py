"""What is shown while trials are trained: a live view on a terminal, one line for each ended trial in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from peftsearch.cli.shared.output import can_redraw, console, harmless, print_line, say
from peftsearch.cli.shared.volume import is_quiet
from peftsearch.core.escaping import on_one_line
from peftsearch.core.front.tolerance import AS_MEASURED, Tolerance

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from peftsearch.confirm.progress import ConfirmedRun, RunsSoFar
    from peftsearch.results.outlook.prospect import Prospect
    from peftsearch.storage.records import Record

State = TypeVar("State")

OnTick = Callable[[Sequence["Record"]], None]
"""Called with all trials before the workers start, and again and again while they run."""


@contextmanager
def search_view(
    objectives: Sequence[str],
    budget: int | None,
    timeout: float | None = None,
    *,
    err: bool = False,
    tolerance: Tolerance = AS_MEASURED,
    every_epoch: bool = True,
) -> Iterator[OnTick]:
    """Show a search to a person: redraw a view at each call, or print each ended trial once.

    Args:
        objectives: the study's.
        budget: the total of trials asked for, if there is one.
        timeout: the seconds from the first call on after which the search ends, if there is a limit.
        err: whether to write to the standard error, because the standard output is for JSON.
        tolerance: the study's.
        every_epoch: whether each epoch of a trial is a point of the front.
    """
    from peftsearch.report.study_views import progress_view

    left, outlook = _countdown(timeout), _outlook(objectives)

    with ExitStack() as stack:
        if is_quiet():
            yield lambda _: None
        elif can_redraw(err):
            yield _live(
                lambda records: progress_view(
                    records, objectives, budget, left(), tolerance, every_epoch, outlook(records)
                ),
                err,
                stack,
            )
        else:
            yield _lines(objectives, budget, err, left)


@contextmanager
def confirming(metric: str) -> Iterator[tuple[Callable[[ConfirmedRun], None], Callable[[RunsSoFar], None]]]:
    """Show on the standard error how `confirm` gets on: a line for each ended run and, on a terminal, the running ones.

    Args:
        metric: the one that is compared.

    Yields:
        What to call after each run, and what to call with how far all runs are.
    """
    from peftsearch.report.confirming import confirming_view, progress_line

    with ExitStack() as stack:
        redraw: Callable[[RunsSoFar], None] = lambda _: None  # noqa: E731
        if can_redraw(err=True) and not is_quiet():
            redraw = _live(lambda now: confirming_view(now, metric), True, stack)
        yield (lambda run: say(on_one_line(progress_line(run, metric)))), redraw


def _live(view: Callable[[State], Iterable[RenderableType]], err: bool, stack: ExitStack) -> Callable[[State], None]:
    """A view on the terminal, which is taken over at the first call and given back when `stack` is closed."""
    from rich.console import Group
    from rich.live import Live

    live: list[Live] = []

    def draw(state: State) -> None:
        if not live:
            target = Live(console=console(err), transient=True, auto_refresh=False, vertical_overflow="ellipsis")
            live.append(stack.enter_context(target))
        live[0].update(harmless(Group(*view(state))), refresh=True)

    return draw


def _countdown(timeout: float | None) -> Callable[[], float | None]:
    """How many seconds are left, from the first call on; None without a limit."""
    ends: list[float] = []

    def left() -> float | None:
        if timeout is None:
            return None
        ends[:] = ends or [time.monotonic() + timeout]
        return max(0.0, ends[0] - time.monotonic())

    return left


def _outlook(objectives: Sequence[str]) -> Callable[[Sequence[Record]], Prospect | None]:
    """What more trials are likely to bring. It is worked out anew only once a trial has ended."""
    known: dict[int, Prospect | None] = {}

    def outlook(records: Sequence[Record]) -> Prospect | None:
        from peftsearch.results.outlook.prospect import prospect

        ended = sum(record.done for record in records)
        if ended not in known:
            known.clear()
            known[ended] = prospect(records, objectives)
        return known[ended]

    return outlook


def _lines(objectives: Sequence[str], budget: int | None, err: bool, left: Callable[[], float | None]) -> OnTick:
    """One line for each trial that has ended since the first call, with how far the search is.

    What a time limit is likely to allow is said once, as soon as that can be told.
    """
    from peftsearch.report.study_views import ended_lines
    from peftsearch.results.outlook.pace import likely_reached

    before: list[Sequence[Record]] = []
    said: list[str] = []

    def tell(records: Sequence[Record]) -> None:
        limit = left()
        for line in ended_lines(before[-1], records, objectives, budget, limit) if before else ():
            print_line(on_one_line(line), err=err)
        before[:] = [records]
        if limit is not None and not said and (sentence := likely_reached(records, limit, budget)):
            said.append(sentence)
            say(sentence)

    return tell
