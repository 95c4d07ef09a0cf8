"""`confirm`: what a search found, with other seeds, on the test split."""

from __future__ import annotations

import os

import click

from peftsearch.cli.optimize import INTERRUPTED
from peftsearch.cli.options import (
    ChosenStudy,
    example,
    json_option,
    parse_trials,
    print_json,
    show,
    storage_options,
    stored,
)


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
    help="Which trial; may be repeated.  [default: the whole front]",
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Other seeds for each trial.")
@json_option
def confirm(
    study: ChosenStudy, fork: str | None, storage: str | None, trials: tuple[int | str, ...], seeds: int, as_json: bool
) -> None:
    """Train the front again with other seeds, and open the test split.

    The only command that reads the test split; that it did is written into the study.
    The best epoch is chosen on validation, as in the search. Running again, also after Ctrl-C, does only what is
    missing; more seeds or trials add to it.
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
            on_run=lambda progress: click.echo(progress_line(progress, metric), err=True),
            say=lambda line: click.echo(line, err=True),
        )  # fmt: skip
    except KeyboardInterrupt:
        interrupted = True
    found = confirmation(results)
    if as_json:
        print_json(confirmation_json(found))
    else:
        show(*confirmation_view(found))
    if interrupted:
        click.echo("stopped by Ctrl-C: the run in hand is lost; the same command goes on", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
