"""`confirm`: trains what a search has found with other seeds, and measures it on the test split."""

from __future__ import annotations

import os

import click

from peftsearch.cli.optimize import INTERRUPTED
from peftsearch.cli.options import ChosenStudy, example, json_option, storage_options, stored
from peftsearch.cli.output import print_json, say, show
from peftsearch.cli.parsing import parse_trials


@click.command(
    epilog=example(
        "peftsearch confirm --study quickstart --seeds 3",
        "peftsearch confirm --study quickstart --trial best --trial 3 --seeds 5 --json",
    )
)
@storage_options
@click.option(
    "--trial",
    "trials",
    multiple=True,
    callback=parse_trials,
    metavar="N|best",
    help="A trial to train again; may be repeated.  [default: every trial on the front]",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many other seeds each trial is trained with.",
)
@json_option
def confirm(
    study: ChosenStudy, fork: str | None, storage: str | None, trials: tuple[int | str, ...], seeds: int, as_json: bool
) -> None:
    """Train the front again and measure it on the test split.

    Each trial is trained with other seeds than in the search, and its best epoch is again chosen on the validation
    split. No other command reads the test split, and the study records that it was opened. Running the command again,
    also after Ctrl-C, trains only what is missing; more seeds or trials add to what is there.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it; read when torch is loaded
    from peftsearch import api
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.confirmation import confirmation_json, confirmation_view, progress_line

    results, interrupted = stored(study, fork, storage), False
    metric = confirmation(results).metric
    try:
        api.confirm_study(
            study.name, trials=trials, seeds=seeds, storage=storage, fork=fork, overrides=study.overrides,
            on_run=lambda run: say(progress_line(run, metric)), say=say,
        )  # fmt: skip
    except KeyboardInterrupt:
        interrupted = True
    found = confirmation(results)
    if as_json:
        print_json(confirmation_json(found))
    else:
        show(*confirmation_view(found))
    if interrupted:
        say("stopped by Ctrl-C: the unfinished run is lost; the same command continues")
        raise click.exceptions.Exit(INTERRUPTED)
