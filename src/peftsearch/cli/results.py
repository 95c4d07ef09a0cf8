"""Commands that look at results: status, trials, trial, front."""

from __future__ import annotations

from pathlib import Path

import click

from peftsearch.cli.shared.options import ChosenStudy, example, front_options, json_option, storage_options, stored
from peftsearch.cli.shared.output import complain, print_json, say, show
from peftsearch.cli.shared.parsing import parse_trial


@click.command(epilog=example("peftsearch status --study quickstart"))
@storage_options
@json_option
def status(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """Show how far a search is, and the time left.

    Trials are counted by state and method, and the running ones are listed.
    """
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.on_test import on_test_json
    from peftsearch.report.study_views import status_view

    results = stored(study, fork, storage)
    for problem in results.checkpoint_problems(trust_times=True):
        complain(problem)
    if as_json:
        confirmed = [on_test_json(row) for row in confirmation(results).measured]
        more = results.prospect()
        prospect = more.to_dict() if more else None
        print_json({"study": results.name, **results.status().to_dict(), "prospect": prospect, "confirmed": confirmed})
    else:
        show(*status_view(results))


@click.command(epilog=example("peftsearch trials --study quickstart", "peftsearch trials --study quickstart --json"))
@storage_options
@json_option
def trials(study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """List every trial, and why it was pruned or failed."""
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.on_test import confirmed_points, with_confirmed
    from peftsearch.report.tables import trials_table, what_points_are
    from peftsearch.results.as_json import trial_with_curve_json

    results = stored(study, fork, storage)
    records, confirmed = results.records(), confirmed_points(confirmation(results))
    front = sorted((row.point for row in results.front()), key=lambda point: point.order)
    if as_json:
        print_json([with_confirmed(trial_with_curve_json(record, front), confirmed) for record in records])
    else:
        show(trials_table(records, results.quality, confirmed, front), *what_points_are(front))


@click.command(
    epilog=example(
        "peftsearch trial 3 --study quickstart",
        "peftsearch trial 3@2 --study quickstart",
        "peftsearch trial best --study quickstart --json",
    )
)
@click.argument("number", metavar="N|N@EPOCH|best", callback=parse_trial)
@storage_options
@front_options
@json_option
def trial(number: str, study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool) -> None:
    """Show one trial in full.

    `3@2` is trial 3 as it was after its epoch 2, and `best` what has the best quality on the front. What is shown are
    settings, learning curve, scores by class, weights, and what went wrong.
    """
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.on_test import confirmed_points, runs_of, with_confirmed
    from peftsearch.report.trial_details import trial_details
    from peftsearch.results.as_json import full_trial_json
    from peftsearch.results.checkpoints import where_weights_are

    results = stored(study, fork, storage)
    record = results.trial(number)
    found = confirmation(results)
    front = sorted((row.point for row in results.front()), key=lambda point: point.order)
    if as_json:
        weights = results.weights(record.point)
        shown = with_confirmed(full_trial_json(record, weights, front), confirmed_points(found))
        print_json({**shown, "runs": [run.to_dict() for run in runs_of(found, record.point)]})
    else:
        where = where_weights_are(results.study, record, results.folder.weights)
        show(*trial_details(record, results.objectives, where, found, front))


@click.command(
    epilog=example(
        "peftsearch front --study quickstart",
        "peftsearch front --study quickstart --plot front.png",
        "peftsearch front --study quickstart --each-method",
        "peftsearch front --study quickstart --audit",
    )
)
@storage_options
@front_options
@json_option
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the front to a .png or .html file.")
@click.option("--each-method", is_flag=True, help="Show the best trial of each method instead of the front.")
@click.option(
    "--audit",
    "with_audit",
    is_flag=True,
    help="Say how far the result can be trusted: what each method was given, and what speaks against its place. "
    "With --json, the trials are then under 'front' and this is under 'audit'.",
)
def front(
    study: ChosenStudy,
    fork: str | None,
    storage: str | None,
    as_json: bool,
    plot: Path | None,
    each_method: bool,
    with_audit: bool,
) -> None:
    """Show the Pareto front, best quality first.

    It holds the points that no other one dominates: finished trials and, unless the study or --whole-trials says
    otherwise, trials as they were after each of their epochs. `3@2` is trial 3 after its epoch 2. Values within the
    tolerance count as equal. The table has a row for each trial; --json has every point.
    """
    from peftsearch.confirm.summary import confirmation
    from peftsearch.report.audit import audit_json, audit_view
    from peftsearch.report.on_test import confirmed_points, with_confirmed
    from peftsearch.report.study_views import front_view, methods_view
    from peftsearch.results.as_json import trial_json
    from peftsearch.results.audit import audit
    from peftsearch.results.front import best_of_methods, front_in_words

    results = stored(study, fork, storage)
    if plot:
        from peftsearch.report.figures.picture import front_picture
        from peftsearch.report.figures.save import save_front

        save_front(front_picture(results), plot)
    if as_json:
        rows, confirmed = results.points(), confirmed_points(confirmation(results))
        chosen = best_of_methods(rows) if each_method else [row for row in rows if row.on_front]
        listed = [with_confirmed(trial_json(row.record), confirmed) for row in chosen]
        for line in front_in_words(rows, results.objectives, results.tolerance):
            say(line)
        print_json({"front": listed, "audit": audit_json(audit(results))} if with_audit else listed)
    else:
        view = methods_view if each_method else front_view
        show(*view(results), *(audit_view(audit(results)) if with_audit else ()))
    if plot:
        say(f"drawn to {plot}")
