"""`optimize`: the search itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from peftsearch.cli.live import shown_progress
from peftsearch.cli.options import ChosenStudy, example, json_option, parse_size, print_json, show, storage_options
from peftsearch.core.strategies import PRUNERS, SAMPLERS

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.workers.supervisor import Outcome

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@click.command(
    epilog=example(
        "peftsearch optimize --study quickstart --trials 12",
        "peftsearch optimize --study my-study.yaml --trials 40 --workers 2 --timeout 3600",
    )
)
@storage_options
@click.option("--trials", type=click.IntRange(min=1), required=True, help="Total; running again continues up to it.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: as --workers-per-device]")
@click.option(
    "--workers-per-device",
    type=click.IntRange(min=1),
    help="For each GPU, else for the CPU.  [default: 1, and more while a GPU has room]",
)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop after this time.")
@click.option("--pruner", type=click.Choice(tuple(PRUNERS)), help="When to stop a trial early.  [default: the study's]")
@click.option("--sampler", type=click.Choice(tuple(SAMPLERS)), help="What proposes settings.  [default: the study's]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the sampler.  [default: the study's]")
@click.option(
    "--exact", is_flag=True, help="No bf16, no kept prefixes, batches of any length: slower, to compare results with."
)
@click.option(
    "--cache-size",
    callback=parse_size,
    metavar="SIZE",
    help="Of frozen prefixes' states, as in 2G.  [default: 1/4 of free disk]",
)
@json_option
def optimize(
    study: ChosenStudy,
    fork: str | None,
    storage: str | None,
    trials: int,
    workers: int | None,
    workers_per_device: int | None,
    timeout: float | None,
    pruner: str | None,
    sampler: str | None,
    seed: int | None,
    exact: bool,
    cache_size: int | None,
    as_json: bool,
) -> None:
    """Search a study: train trials, then print the Pareto front.

    Running again continues up to --trials; if those are done, it only prints the front.
    Ctrl-C once puts the running trials back and prints the front so far; twice exits now.
    """
    from peftsearch import api

    spec = study.load()
    stored = api.begin_study(spec, trials=trials, storage=storage, fork=fork, say=_say)
    done = stored.status().done
    if done >= trials:
        _say(f"{done} of {trials} trials are already done")
        _print_front(stored, as_json)
        return
    with shown_progress(stored.objectives, trials, stored.records(), err=as_json) as progress:
        outcome = api.search(
            stored, spec, trials=trials, workers=workers, workers_per_device=workers_per_device, timeout=timeout,
            on_tick=progress,
            pruner=pruner, sampler=sampler, seed=seed, exact=exact, cache_size=cache_size,
        )  # fmt: skip
    _print_front(stored, as_json)
    _end(outcome, stored.status().done, trials)


def _print_front(stored: StoredStudy, as_json: bool) -> None:
    from peftsearch.report.views import front_view
    from peftsearch.results.front import trial_json

    if as_json:
        print_json([trial_json(row.record, stored.objectives) for row in stored.front()])
    else:
        show(*front_view(stored))


def _end(outcome: Outcome, done: int, trials: int) -> None:
    """Say why it ended, if not because all is done; scripts can tell by the exit code."""
    again = f"{done} of {trials} trials are done; the same command goes on"
    if outcome.how in ("interrupted", "timeout"):
        _say(f"stopped by {'Ctrl-C' if outcome.how == 'interrupted' else '--timeout'}: {again}")
    elif outcome.how == "exhausted":
        _say(f"stopped early: {outcome.message}; {done} of {trials} trials are done")
    elif outcome.how != "done":
        raise click.ClickException(f"the search gave up: {outcome.message}; {again}")
    if outcome.how == "interrupted":
        raise click.exceptions.Exit(INTERRUPTED)


def _say(line: str) -> None:
    click.echo(line, err=True)
