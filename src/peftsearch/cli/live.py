"""What is shown while a search runs: a live view on a terminal, a line for each trial in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from peftsearch.cli.options import console

if TYPE_CHECKING:
    from peftsearch.storage.records import Record


class Progress(Protocol):
    """Called with all trials, again and again, while the workers run."""

    def __call__(self, records: Sequence[Record]) -> None: ...


@contextmanager
def shown_progress(
    objectives: Sequence[str], budget: int, known: Sequence[Record], *, err: bool = False
) -> Iterator[Progress]:
    """A view that is drawn anew at each call, or lines that are printed once; `err`: not on the standard output."""
    if console(err).is_terminal:
        with _live(objectives, budget, err) as progress:
            yield progress
    else:
        yield _lines(objectives, known, err)


@contextmanager
def _live(objectives: Sequence[str], budget: int, err: bool) -> Iterator[Progress]:
    from rich.console import Group
    from rich.live import Live

    from peftsearch.report.views import progress_view

    with Live(console=console(err), transient=True, auto_refresh=False, vertical_overflow="ellipsis") as live:

        def draw(records: Sequence[Record]) -> None:
            live.update(Group(*progress_view(records, objectives, budget)), refresh=True)

        yield draw


def _lines(objectives: Sequence[str], known: Sequence[Record], err: bool) -> Progress:
    from peftsearch.report.views import ended, trial_line

    before = list(known)

    def tell(records: Sequence[Record]) -> None:
        for record in ended(before, records):
            click.echo(trial_line(record, objectives), err=err)
        before[:] = records

    return tell
