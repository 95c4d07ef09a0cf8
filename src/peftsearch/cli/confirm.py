"""`confirm`: trains what a search has found with other seeds, and measures it on the test split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.live import confirming
from peftsearch.cli.shared.ended import EXIT_CODES
from peftsearch.cli.shared.options import ChosenStudy, example, front_options, json_option, storage_options, stored
from peftsearch.cli.shared.output import complain, debug, print_json, say, show
from peftsearch.cli.shared.parsing import WholeNumber, parse_trials
from peftsearch.cli.shared.volume import where_logs_are

if TYPE_CHECKING:
    from peftsearch.workers.outcome import Outcome


@click.command(
    epilog=example(
        "peftsearch confirm --study quickstart",
        "peftsearch confirm --study quickstart --trial best --trial 3 --seeds 5 --json",
    )
)
@storage_options
@front_options
@click.option(
    "--trial",
    "trials",
    multiple=True,
    callback=parse_trials,
    metavar="N|N@EPOCH|best",
    help="A trial to train again, or with 7@3 as far as its epoch 3; may be repeated."
    "  [default: the front and its runners-up, see --best]",
)
@click.option(
    "--best",
    type=WholeNumber(min=1),
    default=8,
    show_default=True,
    help="How many trials to train again: all of the front, each at its best point there, and then the best others by "
    "quality.",
)
@click.option(
    "--seeds",
    type=WholeNumber(min=1),
    default=3,
    show_default=True,
    help="How many other seeds each trial is trained with.",
)
@click.option(
    "--workers", type=WholeNumber(min=1), help="How many processes train.  [default: set by --workers-per-device]"
)
@click.option(
    "--workers-per-device",
    type=WholeNumber(min=1),
    help="How many processes train on each GPU, or on the CPU.  [default: 1 on the CPU, on a GPU as many as fit]",
)
@json_option
def confirm(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool, **options: Any) -> None:
    """Train the best trials again and measure them on the test split.

    Each trial is trained with other seeds than in the search, under the conditions of the search, and its best epoch is
    again chosen on the validation split; an epoch such as 7@3 is trained as far as that. TF-IDF, the reference, is
    measured too. No other command reads the test split, and the study records that it was opened. Running the command
    again, also after Ctrl-C, trains only what is missing; more seeds or trials add to what is there.

    With several workers, each trial's last run is trained after the others and alone, so that its time can be compared;
    the times shown are those of runs that were trained alone.
    """
    from peftsearch import api
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.confirmation import confirmation_view
    from peftsearch.report.confirmation_json import confirmation_json

    results = stored(study, fork, storage)
    debug(where_logs_are(results.folder))
    with confirming(confirmation(results).metric) as (on_run, on_tick):
        found = api.confirm_study(
            study.name, storage=storage, fork=fork, overrides=study.overrides, **options,
            on_run=on_run, on_tick=on_tick, say=say,
        )  # fmt: skip
    if as_json:
        print_json(confirmation_json(found))
    else:
        show(*confirmation_view(found))
    if found.outcome:
        _say_how_it_ended(found.outcome)


def _say_how_it_ended(outcome: Outcome) -> None:
    """Say why it ended unless every run is done; scripts can tell by the exit code."""
    if outcome.how == "interrupted":
        complain(f"stopped by {outcome.message}: the unfinished runs are lost; the same command continues")
        raise click.exceptions.Exit(EXIT_CODES[outcome.message])
    if outcome.how != "done":
        if outcome.details:
            complain(outcome.details.rstrip())
        raise click.ClickException(f"confirming gave up: {outcome.message}; the same command continues")
