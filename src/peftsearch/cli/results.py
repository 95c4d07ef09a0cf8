"""Commands that look at results: status, trials, trial, front."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from peftsearch.cli.options import ChosenStudy, example, json_option, storage_options, stored
from peftsearch.cli.output import print_json, say, show

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(epilog=example("peftsearch status --study quickstart"))
@storage_options
@json_option
def status(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """Show how far a search is, and the time left.

    Trials are counted by state and method, and the running ones are listed.
    """
    from peftsearch.report.tables import running_table, status_table, time_left

    results = stored(study, fork, storage)
    found = results.status()
    for problem in results.checkpoint_problems(trust_times=True):
        say(problem)
    if as_json:
        print_json({"study": results.name, **found.to_dict()})
        return
    budget = f"{found.done} of {found.budget} trials done" if found.budget else f"{found.done} trials done"
    parts: list[RenderableType] = [
        f"{results.name}: {', '.join(part for part in (budget, time_left(found)) if part)}",
        status_table(found),
    ]
    parts += map(str, found.constraints)
    if found.running:
        parts.append(running_table(found.running, results.quality))
    show(*parts)


@click.command(epilog=example("peftsearch trials --study quickstart", "peftsearch trials --study quickstart --json"))
@storage_options
@json_option
def trials(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """List every trial, and why it was pruned or failed."""
    from peftsearch.report.tables import trials_table
    from peftsearch.results.as_json import trial_with_curve_json

    results = stored(study, fork, storage)
    records = results.records()
    if as_json:
        print_json([trial_with_curve_json(record) for record in records])
    else:
        show(trials_table(records, results.quality))


@click.command(epilog=example("peftsearch trial 3 --study quickstart", "peftsearch trial 3 --study quickstart --json"))
@click.argument("number", metavar="N", type=click.IntRange(min=0))
@storage_options
@json_option
def trial(number: int, study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """Show one trial in full.

    These are its settings, learning curve, scores by class, weights, and what went wrong.
    """
    from peftsearch.report.trial_details import trial_details
    from peftsearch.results.as_json import full_trial_json

    results = stored(study, fork, storage)
    record, weights = results.trial(number), results.weights(number)
    if as_json:
        print_json(full_trial_json(record, weights))
    else:
        show(*trial_details(record, results.objectives, weights))


@click.command(
    epilog=example(
        "peftsearch front --study quickstart",
        "peftsearch front --study quickstart --plot front.png",
        "peftsearch front --study quickstart --each-method",
    )
)
@storage_options
@json_option
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the front to a .png or .html file.")
@click.option("--each-method", is_flag=True, help="Show the best trial of each method instead of the front.")
def front(
    study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool, plot: Path | None, each_method: bool
) -> None:
    """Show the Pareto front, best quality first.

    It holds the finished trials that no other one dominates.
    """
    from peftsearch.report.study_views import front_view, methods_view
    from peftsearch.results.as_json import trial_json
    from peftsearch.results.front import best_of_methods

    results = stored(study, fork, storage)
    if plot or as_json:
        rows = results.rows()
    if plot:
        from peftsearch.report.figures import save_front

        save_front(rows, results.objectives, f"{results.name}: Pareto front of {len(rows)} finished trials", plot)
    if as_json:
        chosen = best_of_methods(rows) if each_method else [row for row in rows if row.on_front]
        print_json([trial_json(row.record) for row in chosen])
    else:
        show(*(methods_view if each_method else front_view)(results))
    if plot:
        say(f"drawn to {plot}")
