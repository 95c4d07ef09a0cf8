"""`optimize`: the search itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.live import search_view
from peftsearch.cli.options import ChosenStudy, example, json_option, storage_options
from peftsearch.cli.output import print_json, say, show
from peftsearch.cli.parsing import parse_size
from peftsearch.core.strategies import PRUNERS, SAMPLERS

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.workers.outcome import Outcome

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

EXIT_CODES = {"Ctrl-C": INTERRUPTED, "SIGTERM": 143, "SIGHUP": 129}
"""What asked the search to end → its exit code, as shells have it."""


@click.command(
    epilog=example(
        "peftsearch optimize --study quickstart --trials 12",
        "peftsearch optimize --study my-study.yaml --trials 40 --workers 2 --timeout 3600",
    )
)
@storage_options
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    required=True,
    help="The total number of trials; running the command again continues up to it.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="How many processes train.  [default: set by --workers-per-device]"
)
@click.option(
    "--workers-per-device",
    type=click.IntRange(min=1),
    help="How many processes train on each GPU, or on the CPU.  [default: 1 on the CPU, on a GPU as many as fit]",
)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop the search after this time.")
@click.option(
    "--trial-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop a trial that makes no step for this time, and try it once more."
    "  [default: ten times its slowest step, at least 300; 1800 before its first step]",
)
@click.option(
    "--pruner", type=click.Choice(tuple(PRUNERS)), help="When a trial is stopped early.  [default: the study's]"
)
@click.option(
    "--sampler", type=click.Choice(tuple(SAMPLERS)), help="What proposes configurations.  [default: the study's]"
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="The sampler's seed.  [default: the study's]")
@click.option(
    "--exact",
    is_flag=True,
    help="Use fp32 instead of bf16, no frozen-prefix cache, and batches of mixed lengths: slower, for comparisons.",
)
@click.option(
    "--cache-size",
    callback=parse_size,
    metavar="SIZE",
    help="How much disk the frozen-prefix cache may take, for example 2G.  [default: 1/4 of the free space]",
)
@click.option(
    "--storage-patience",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=300.0,
    show_default=True,
    help="How long the search waits for a storage that does not answer, before it ends.",
)
@json_option
def optimize(study: ChosenStudy, as_json: bool, trials: int, **options: Any) -> None:
    """Search a study: train trials, then print the Pareto front.

    Running the command again continues up to --trials; if those are done, it only prints the front. The first Ctrl-C
    puts the running trials back and prints the front so far; the second one exits at once. SIGTERM, which schedulers
    send, does the same, with exit code 143 in place of 130.
    """
    from peftsearch import api

    spec = study.load()
    with search_view(spec.objectives, trials, err=as_json) as on_tick:
        results = api.run_study(spec, trials=trials, **options, on_tick=on_tick, say=say)
    _print_front(results, as_json)
    if results.outcome:
        _say_how_it_ended(results.outcome, results.status().done, trials)


def _print_front(results: StoredStudy, as_json: bool) -> None:
    from peftsearch.report.study_views import front_view
    from peftsearch.results.as_json import trial_json

    if as_json:
        print_json([trial_json(row.record) for row in results.front()])
    else:
        show(*front_view(results))


def _say_how_it_ended(outcome: Outcome, done: int, trials: int) -> None:
    """Say why the search ended unless every trial is done; scripts can tell by the exit code."""
    again = f"{done} of {trials} trials are done; the same command continues"
    if outcome.how == "interrupted":
        say(f"stopped by {outcome.message}: {again}")
        raise click.exceptions.Exit(EXIT_CODES[outcome.message])
    if outcome.how == "timeout":
        say(f"stopped by --timeout: {again}")
    elif outcome.how == "exhausted":
        say(f"stopped early: {outcome.message}; {done} of {trials} trials are done")
    elif outcome.how != "done":
        if outcome.details:
            say(outcome.details.rstrip())
        raise click.ClickException(f"the search gave up: {outcome.message}; {again}")
