"""`worker`: one worker of a search, which a scheduler, a shell or a person starts as many of as there are places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.shared.ended import say_how_it_ended
from peftsearch.cli.shared.options import ChosenStudy, example, storage_options
from peftsearch.cli.shared.output import print_line, say
from peftsearch.cli.shared.parsing import WholeNumber
from peftsearch.cli.shared.search_options import search_options
from peftsearch.core.escaping import on_one_line

if TYPE_CHECKING:
    from peftsearch.storage.records import Record


@click.command(
    epilog=example(
        "peftsearch worker --study reviews --storage postgresql+psycopg://me@db/trials --trials 500",
        "srun --ntasks=8 --gpus-per-task=1 peftsearch worker --study reviews",
    )
)
@storage_options
@click.option(
    "--trials",
    type=WholeNumber(min=1),
    help="The total number of trials of all workers.  [default: the one with which the search was begun]",
)
@click.option(
    "--until-done",
    is_flag=True,
    help="Wait until the last trials of other workers have ended too, and take over those whose workers are gone.",
)
@search_options
def worker(study: ChosenStudy, trials: int | None, timeout: float | None, **options: Any) -> None:
    """Train trials of a search, beside any other workers.

    Start as many as you like, on as many machines: they share nothing but the storage, so each needs the study file and
    its data. The first one begins the search. Each prints a line for every trial that it has trained, and ends as soon
    as no trial is left to claim; the total is exact. SIGTERM puts the running trial back; the exit code is then 143,
    and a scheduler may start the same command again. The exit code is 0 at the end of the search, 1 if the search gives
    up, and 2 if the study, its data, this machine's packages or the storage cannot be used.
    """
    from peftsearch import api
    from peftsearch.optimize.join import total_asked_for

    spec = study.load()
    total = trials or total_asked_for(options["fork"] or spec.name, options["storage"])
    lines = _lines_of_own_trials(spec.objectives, total)
    results = api.run_worker(spec, trials=total, timeout=timeout, **options, on_tick=lines, say=say)
    now = results.status()
    done = f"{now.done} trials" if now.budget is None else f"{now.done} of {now.budget} trials"
    assert results.outcome is not None
    say_how_it_ended(results.outcome, done, timeout)
    if results.outcome.how == "done":
        others = "; other workers train the rest" if now.budget and now.done < now.budget else ""
        say(f"no trial is left to claim: {done} are done{others}")


def _lines_of_own_trials(objectives: Sequence[str], total: int | None) -> Callable[[Sequence[Record]], None]:
    """A line for each trial of this worker that has ended since the first call.

    Args:
        total: the total of trials, if it is known.
    """
    before: list[Sequence[Record]] = []

    def tell(records: Sequence[Record]) -> None:
        from peftsearch.optimize.join import is_own
        from peftsearch.report.study_views import newly_ended, trial_line

        for record in filter(is_own, newly_ended(before[-1], records) if before else ()):
            done = sum(other.done and _end(other) <= _end(record) for other in records)
            place = f"{done}/{total}" if total else f"{done}"
            print_line(on_one_line(f"[{place}] {trial_line(record, objectives)}"))
        before[:] = [records]

    return tell


def _end(record: Record) -> datetime:
    assert record.ended is not None
    return record.ended
