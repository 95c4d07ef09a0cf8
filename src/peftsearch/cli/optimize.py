"""`optimize`: the search itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from peftsearch.cli.live import search_view
from peftsearch.cli.own_file import study_or_file_options
from peftsearch.cli.shared.ended import CONTINUES, say_how_it_ended
from peftsearch.cli.shared.options import ChosenStudy, example, json_option
from peftsearch.cli.shared.output import debug, print_json, say, show
from peftsearch.cli.shared.parsing import Number, WholeNumber
from peftsearch.cli.shared.search_options import search_options
from peftsearch.cli.shared.volume import where_logs_are
from peftsearch.core.calls.precedence import of_study
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.strategies import ENGINES

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy


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
    "--workers",
    type=WholeNumber(min=0),
    help="How many processes train; with 0 only watch a search whose workers run elsewhere."
    "  [default: set by --workers-per-device]",
)
@click.option(
    "--workers-per-device",
    type=WholeNumber(min=1),
    help="How many processes train on each GPU, or on the CPU.  [default: 1 on the CPU, on a GPU as many as fit]",
)
@click.option(
    "--engine",
    type=click.Choice(tuple(ENGINES)),
    default="local",
    show_default=True,
    help="Where the workers run: in processes of this machine, or in actors of a Ray cluster.",
)
@click.option(
    "--gpus-per-worker",
    type=Number(min=0),
    metavar="GPUS",
    help="How much of a GPU each worker of --engine ray gets; with 0.5 two share one.  [default: 1 if there are GPUs]",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    help="The Ray cluster, for example auto or ray-head:6379.  [default: RAY_ADDRESS, else one that runs here]",
)
@click.option(
    "--retime/--no-retime",
    default=None,
    help="Measure the training times of the front again at the end of the search: a few steps of each trial, alone and"
    " in turns, for about a minute.  [default: where trials shared a GPU, as far as --time-limit and a twentieth more"
    " allow, unless the study says never to]",
)
@search_options
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
    counts = of_study(options["every_epoch"], spec.every_epoch)
    front = {"tolerance": spec.tolerance, "every_epoch": counts}
    with search_view(spec.objectives, trials, timeout, err=as_json, **front) as on_tick:
        results = api.run_study(spec, trials=trials, timeout=timeout, **options, on_tick=on_tick, say=say)
    _print_front(results, as_json)
    if results.outcome:
        done = results.status().done
        how_many = f"{done} trials" if trials is None else f"{done} of {trials} trials"
        again = "the workers go on, and the same command watches them again" if options["workers"] == 0 else CONTINUES
        say_how_it_ended(results.outcome, how_many, timeout, again)


def _print_front(results: StoredStudy, as_json: bool) -> None:
    from peftsearch.report.study_views import front_view
    from peftsearch.results.as_json import trial_json

    if as_json:
        print_json([trial_json(row.record) for row in results.front()])
    else:
        show(*front_view(results))
