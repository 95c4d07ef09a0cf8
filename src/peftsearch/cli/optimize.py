"""`optimize`: the search itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.live import search_view
from peftsearch.cli.own_file import study_or_file_options
from peftsearch.cli.shared.options import ChosenStudy, example, json_option
from peftsearch.cli.shared.output import complain, debug, print_json, say, show
from peftsearch.cli.shared.parsing import Number, WholeNumber, parse_duration, parse_size
from peftsearch.cli.shared.volume import where_logs_are
from peftsearch.core.files.run_folder import RunFolder
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
        "peftsearch optimize --study my-study.yaml --trials 40 --workers 2 --time-limit 1h",
        "peftsearch optimize --data reviews.csv --label stars --effort quick --time-limit 10m",
    )
)
@study_or_file_options
@click.option(
    "--trials",
    type=WholeNumber(min=1),
    help="The total number of trials; running the command again continues up to it."
    "  [default: no limit where --time-limit or --until-flat is given, else that of --effort]",
)
@click.option(
    "--workers", type=WholeNumber(min=1), help="How many processes train.  [default: set by --workers-per-device]"
)
@click.option(
    "--workers-per-device",
    type=WholeNumber(min=1),
    help="How many processes train on each GPU, or on the CPU.  [default: 1 on the CPU, on a GPU as many as fit]",
)
@click.option(
    "--time-limit",
    "--timeout",
    "timeout",
    callback=parse_duration,
    metavar="TIME",
    help="End the search after this time, for example 90s, 30m or 1h30m; a number alone means seconds. Running trials"
    " end with the epochs that they have.",
)
@click.option(
    "--until-flat",
    is_flag=True,
    help="End the search once the last 16 trials that the sampler proposed have added less than 0.5 % to the"
    " hypervolume. Running trials are trained to their ends.",
)
@click.option(
    "--like",
    metavar="STUDY",
    help="Try the front of an earlier study first, and the best trial of each of its methods: the name of a study"
    " whose trials are kept, or the URL of a database that holds one study.",
)
@click.option(
    "--trial-timeout",
    type=Number(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop a trial that makes no step for this time, and try it once more."
    "  [default: ten times its slowest step but at least 300, and 1800 before its first step]",
)
@click.option(
    "--pruner", type=click.Choice(tuple(PRUNERS)), help="When a trial is stopped early.  [default: the study's]"
)
@click.option(
    "--sampler", type=click.Choice(tuple(SAMPLERS)), help="What proposes configurations.  [default: the study's]"
)
@click.option("--seed", type=WholeNumber(0, 2**32 - 1), help="The sampler's seed.  [default: the study's]")
@click.option(
    "--exact",
    is_flag=True,
    help="Use fp32 instead of bf16, no frozen-prefix cache, and batches of mixed lengths. This is slower, and meant "
    "for comparisons.",
)
@click.option(
    "--cache-size",
    callback=parse_size,
    metavar="SIZE",
    help="How much disk the frozen-prefix cache may take, for example 2G.  [default: 1/4 of the free space]",
)
@click.option(
    "--storage-patience",
    type=Number(min=0),
    metavar="SECONDS",
    default=300.0,
    show_default=True,
    help="How long the search waits for a storage that does not answer, before it ends.",
)
@json_option
def optimize(study: ChosenStudy, as_json: bool, trials: int | None, timeout: float | None, **options: Any) -> None:
    """Search a study: train trials, then print the Pareto front.

    The study is one that --study names, or is made of the file that --data names and kept as runs/NAME/study.yaml.
    Running the command again continues up to --trials; if all of them are done, it only prints the front. With
    --time-limit alone, each call searches for that time. The first Ctrl-C puts the running trials back and prints the
    front so far; the second one exits at once. SIGTERM, which schedulers send, does what the first Ctrl-C does; the
    exit code is then 143 in place of 130.
    """
    from peftsearch import api

    spec = study.load()
    debug(where_logs_are(RunFolder.of(options["fork"] or spec.name)))
    with search_view(spec.objectives, trials, timeout, err=as_json, tolerance=spec.tolerance) as on_tick:
        results = api.run_study(spec, trials=trials, timeout=timeout, **options, on_tick=on_tick, say=say)
    _print_front(results, as_json)
    if results.outcome:
        done = results.status().done
        _say_how_it_ended(
            results.outcome, f"{done} trials" if trials is None else f"{done} of {trials} trials", timeout
        )


def _print_front(results: StoredStudy, as_json: bool) -> None:
    from peftsearch.report.study_views import front_view
    from peftsearch.results.as_json import trial_json

    if as_json:
        print_json([trial_json(row.record) for row in results.front()])
    else:
        show(*front_view(results))


def _say_how_it_ended(outcome: Outcome, done: str, timeout: float | None) -> None:
    """Say why the search ended unless every trial is done; scripts can tell by the exit code.

    Args:
        done: how many trials are done, in words.
        timeout: the time limit in seconds.
    """
    from peftsearch.results.formatting import duration

    again = f"{done} are done; the same command continues"
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
