"""How a search has ended: a sentence for people, an exit code for scripts and schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from peftsearch.cli.shared.output import complain, say

if TYPE_CHECKING:
    from peftsearch.workers.outcome import Outcome

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

EXIT_CODES = {"Ctrl-C": INTERRUPTED, "SIGTERM": 143, "SIGHUP": 129}
"""What asked the search to end → its exit code, as shells have it."""


CONTINUES = "the same command continues"


def say_how_it_ended(outcome: Outcome, done: str, timeout: float | None, again: str = CONTINUES) -> None:
    """Say why the search ended unless every trial is done; scripts can tell by the exit code.

    Args:
        done: how many trials are done, in words.
        timeout: the time limit in seconds.
        again: what goes on, and how.
    """
    from peftsearch.results.formatting import duration

    again = f"{done} are done; {again}"
    if outcome.how == "interrupted":
        complain(f"stopped by {outcome.message}: {again}")
        raise click.exceptions.Exit(EXIT_CODES[outcome.message])
    if outcome.how == "timeout":
        say(f"the time limit of {duration(timeout or 0)} has ended the search: {again}")
    elif outcome.how == "flat":
        on = "to go on, name a larger total with --trials, and leave out --until-flat"
        say(f"the search is flat: {outcome.message}; {done} are done; {on}")
    elif outcome.how == "exhausted":
        say(f"stopped early: {outcome.message}; {done} are done")
    elif outcome.how != "done":
        if outcome.details:
            complain(outcome.details.rstrip())
        raise click.ClickException(f"the search gave up: {outcome.message}; {again}")
